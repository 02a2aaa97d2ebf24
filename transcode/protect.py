"""Segments between their clear form, which is what is made and verified, and the form that is stored. Pure.

A `Lock` is what a protected title adds to the way into the store and out of it (`transcode.title`). It changes bytes by the plan alone,
so what is made twice is stored the same twice, in any order and by any worker.

What is recorded of an "aes-128" segment: the size and SHA-256 of the stored bytes, but the places of its fragments in the clear bytes,
which nobody can fetch by range.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from kit import ciphers
from kit.errors import StepFailed
from media.ids import PlanDigest
from media.protection import Protection, segment_iv
from transcode.cut import Segment


@dataclass(frozen=True, slots=True)
class Lock:
    """A title's key and what is done with it."""

    protection: Protection
    plan: PlanDigest
    key: bytes

    def __repr__(self) -> str:
        return f"Lock({self.protection})"

    def init(self, data: bytes, rendition: str) -> bytes:
        """The stored form of an init segment. That of "aes-128" is clear."""
        del rendition
        return data

    def segment(self, rendition: str, segment: Segment) -> Segment:
        """The stored form of a media segment."""
        measured, data = segment
        stored = ciphers.cbc_encrypt(self.key, segment_iv(self.plan, rendition, measured.index), data)
        return replace(measured, size_bytes=len(stored), sha256=hashlib.sha256(stored).hexdigest()), stored

    def clear_init(self, data: bytes) -> bytes:
        """The way back."""
        return data

    def clear_segment(self, rendition: str, index: int, data: bytes) -> bytes:
        """The way back. Raises StepFailed for bytes that this key did not make."""
        try:
            return ciphers.cbc_decrypt(self.key, segment_iv(self.plan, rendition, index), data)
        except ValueError as error:
            raise StepFailed(f"Segment {index} of {rendition} cannot be decrypted.") from error
