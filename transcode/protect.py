"""Segments between their clear form, which is what is made and verified, and the form that is stored. Pure.

A `Lock` is what a protected title adds to the way into the store and out of it (`transcode.title`). It changes bytes by the plan alone,
so what is made twice is stored the same twice, in any order and by any worker.

What is recorded of an "aes-128" segment: the size and SHA-256 of the stored bytes, but the places of its fragments in the clear bytes,
which nobody can fetch by range. Of "cbcs" all of it is of the stored bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from kit import ciphers
from kit.errors import StepFailed
from media import cenc
from media.isobmff import BadBoxes, read_fragments
from media.plan import EncodePlan
from media.protection import Protection, constant_iv, segment_iv
from media.segments import Fragment, MeasuredSegment
from transcode.cut import Segment

_ENTRIES = {"h264": "avc1", "hevc": "hvc1"}


@dataclass(frozen=True, slots=True)
class Lock:
    """A title's key and what is done with it."""

    protection: Protection
    plan: EncodePlan
    key: bytes

    def __repr__(self) -> str:
        return f"Lock({self.protection})"

    @property
    def samples(self) -> bool:
        """Whether samples are protected, and not whole segments."""
        return self.protection.scheme == "cbcs"

    def _coding(self, rendition: str) -> cenc.Coding:
        """Raises BadBoxes."""
        if (track := self.plan.sound(rendition)) is not None:
            return cenc.Coding(track.codecs.partition(".")[0])
        entry = _ENTRIES.get(codec := self.plan.rendition(rendition).codec)
        if entry is None:
            raise BadBoxes(f"{codec} is not known")
        return cenc.Coding(entry)

    def init(self, data: bytes, rendition: str) -> bytes:
        """The stored form of an init segment. That of "aes-128" is clear. Raises StepFailed."""
        if not self.samples:
            return data
        try:
            return cenc.protect_init(data, self.protection.kid, constant_iv(self.plan.digest, rendition))
        except BadBoxes as error:
            raise StepFailed(f"{rendition} cannot be encrypted: {error}.") from error

    def segment(self, rendition: str, segment: Segment) -> Segment:
        """The stored form of a media segment. Raises StepFailed."""
        measured, data = segment
        if not self.samples:
            return _named(measured, ciphers.cbc_encrypt(self.key, segment_iv(self.plan.digest, rendition, measured.index), data))
        iv = constant_iv(self.plan.digest, rendition)
        try:
            stored = cenc.protect_segment(data, self._coding(rendition), lambda: ciphers.cbc_encryptor(self.key, iv))
            found = read_fragments(stored)
            parts = tuple(Fragment(item.offset, item.size, item.keyframe_size, item.duration) for item in found)
        except BadBoxes as error:
            raise StepFailed(f"Segment {measured.index} of {rendition} cannot be encrypted: {error}.") from error
        return _named(replace(measured, fragments=parts), stored)

    def clear_init(self, data: bytes) -> bytes:
        """The way back. Raises StepFailed."""
        try:
            return cenc.clear_init(data) if self.samples else data
        except BadBoxes as error:
            raise StepFailed(f"A stored init segment cannot be read: {error}.") from error

    def clear_segment(self, rendition: str, index: int, data: bytes) -> bytes:
        """The way back. Raises StepFailed for bytes that this key did not make."""
        try:
            if not self.samples:
                return ciphers.cbc_decrypt(self.key, segment_iv(self.plan.digest, rendition, index), data)
            iv = constant_iv(self.plan.digest, rendition)
            return cenc.clear_segment(data, self._coding(rendition), lambda: ciphers.cbc_decryptor(self.key, iv))
        except ValueError as error:  # wrong padding, and BadBoxes
            raise StepFailed(f"Segment {index} of {rendition} cannot be decrypted.") from error


def _named(measured: MeasuredSegment, stored: bytes) -> Segment:
    return replace(measured, size_bytes=len(stored), sha256=hashlib.sha256(stored).hexdigest()), stored
