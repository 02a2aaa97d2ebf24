"""The I-frame of a segment that is encrypted whole, as players fetch it: cut out of the clear segment and encrypted by itself. Pure."""

from __future__ import annotations

from kit import ciphers
from kit.errors import Unavailable
from media.ids import PlanDigest
from media.protection import iframe_iv, segment_iv
from origin.store import Place


def encrypted_iframe(stored: bytes, part: tuple[int, int], key: bytes, place: Place, gop: int) -> bytes:
    """`part`: where the I-frame begins and ends in the clear segment. Raises Unavailable when the stored segment is damaged."""
    plan = PlanDigest(place.plan)
    try:
        clear = ciphers.cbc_decrypt(key, segment_iv(plan, place.rendition, place.index), stored)
    except ValueError as error:
        raise Unavailable("This part of the video is damaged.") from error
    return ciphers.cbc_encrypt(key, iframe_iv(plan, place.rendition, gop), clear[part[0] : part[1]])
