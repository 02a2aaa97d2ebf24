"""How a title is encrypted, and which initialization vector each part of it has. Pure; the ciphers are in `kit.ciphers`.

Two schemes. "aes-128" (RFC 8216 section 5.2) encrypts whole media segments. "cbcs" (ISO/IEC 23001-7, `media.cenc`) encrypts the coded
samples inside of CMAF fragments, so one set of segments serves HLS, DASH and the DRM systems of all makers.

Initialization vectors are no secrets, but one that is used twice with a key shows where two texts begin alike. They follow from the
plan's digest (which covers the key's id), the rendition and the segment's number, so a segment that is made twice, anywhere, is the same
byte for byte, and no two segments share one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from media.ids import PlanDigest

Scheme = Literal["aes-128", "cbcs"]
Encryption = Literal["none", "aes-128", "cbcs"]
KEY_BYTES = IV_BYTES = 16


@dataclass(frozen=True, slots=True)
class Protection:
    """`key_id` names the key, which is not here: 32 hexadecimal digits, which are also the KID of common encryption."""

    scheme: Scheme
    key_id: str

    @property
    def kid(self) -> bytes:
        return bytes.fromhex(self.key_id)

    @property
    def uuid(self) -> str:
        """The id as DASH and DRM systems spell it."""
        text = self.key_id
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def segment_iv(plan: PlanDigest, rendition: str, index: int) -> bytes:
    """Of one media segment that is encrypted whole."""
    return _derived(f"{plan}/{rendition}/{index}")


def iframe_iv(plan: PlanDigest, rendition: str, gop: int) -> bytes:
    """Of the I-frame of one group of pictures, which players fetch as a resource of its own."""
    return _derived(f"{plan}/{rendition}/i/{gop}")


def padded_size(size_bytes: int) -> int:
    """Of what is encrypted whole: there is always some padding (RFC 5652 section 6.3)."""
    return (size_bytes // IV_BYTES + 1) * IV_BYTES


def constant_iv(plan: PlanDigest, rendition: str) -> bytes:
    """Of every sample of one rendition: "cbcs" has one (ISO/IEC 23001-7 section 10.4)."""
    return _derived(f"{plan}/{rendition}")


def _derived(name: str) -> bytes:
    return hashlib.sha256(f"headwater iv {name}".encode()).digest()[:IV_BYTES]
