"""Rules of encryption: EXT-X-KEY and what it stands before (K3 to K7). K1 and K2, which are Apple's, are in `rules_playlists`.

Nothing is decrypted here. Keys are fetched only where a player would fetch them as they are (KEYFORMAT "identity").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hls_validation.attributes import Tag
from hls_validation.finding import Chapter, Issue, Level
from hls_validation.presentation import Presentation, Rendition

CHAPTER = Chapter()
rule = CHAPTER.rule

_METHODS = {"NONE", "AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR"}
_IV = re.compile(r"0[xX][0-9A-F]{1,32}")
_KEY_BYTES = _BLOCK_BYTES = 16


def _whole(tag: Tag | None) -> bool:
    return tag is not None and tag.get("METHOD") == "AES-128"


@rule("K3", Level.MUST, "RFC 8216bis 4.4.4.4", "METHOD is one that there is, NONE stands alone, and an IV has 128 bits.")
def _attributes(look: Presentation) -> Iterator[Issue]:
    for rendition in look.renditions.values():
        for tag in rendition.playlist.keys:
            where, method, iv = f"{rendition.url}:{tag.line}", tag.get("METHOD"), tag.get("IV")
            if method is not None and method not in _METHODS:
                yield Issue(where, f"METHOD is {method}")
            if method == "NONE" and len(tag.attributes) > 1:
                yield Issue(where, "METHOD=NONE has other attributes beside it")
            if iv is not None and not _IV.fullmatch(iv):
                yield Issue(where, f"the IV {iv[:50]} has not 128 bits")


@rule("K4", Level.MUST, "RFC 8216bis 5.1", "A key that is fetched as it is has sixteen bytes.")
def _keys(look: Presentation) -> Iterator[Issue]:
    for rendition in look.renditions.values():
        for address, found in rendition.keys.items():
            if isinstance(found, str):
                yield Issue(rendition.url, f"the key cannot be fetched: {found}", Level.SHOULD)  # we may not be who may have it
            elif found != _KEY_BYTES:
                yield Issue(rendition.url, f"the key {address} has {found} bytes instead of {_KEY_BYTES}")


@rule("K5", Level.MUST, "RFC 8216bis 4.4.4.4, 5.2", "A segment under AES-128 consists of whole blocks.")
def _blocks(look: Presentation) -> Iterator[Issue]:
    for rendition in look.renditions.values():
        for seen in rendition.seen:
            segment = rendition.playlist.segments[seen.index]
            if _whole(segment.key) and seen.problem is None and (seen.size_bytes % _BLOCK_BYTES or not seen.size_bytes):
                yield Issue(f"{rendition.url}:{segment.line}", f"the segment has {seen.size_bytes} bytes, which AES-128 does not make")
                break


@rule("K6", Level.MUST, "RFC 8216bis 4.4.4.5", "An initialization section under AES-128 has an IV.")
def _init_iv(look: Presentation) -> Iterator[Issue]:
    for rendition in look.renditions.values():
        for segment in rendition.playlist.segments:
            key = None if segment.map is None else segment.map.key
            if key is not None and _whole(key) and key.get("IV") is None:
                yield Issue(f"{rendition.url}:{key.line}", "the key counts for EXT-X-MAP, but has no IV")
                break


@rule("K7", Level.MUST, "RFC 8216bis 4.4.4.4", "SAMPLE-AES of fragmented MP4 is cbcs, and what is encrypted has a key.")
def _samples(look: Presentation) -> Iterator[Issue]:
    for rendition in look.timed:
        for index in sorted({seen.index for seen in rendition.seen}):
            if (says := _mismatch(rendition, index)) is not None:
                yield Issue(f"{rendition.url}:{rendition.playlist.segments[index].line}", says)
                break


def _mismatch(rendition: Rendition, index: int) -> str | None:
    segment = rendition.playlist.segments[index]
    init, method = rendition.init_of(segment), None if segment.key is None else segment.key.get("METHOD")
    if init is None:
        return None
    schemes = {track.scheme for track in init.tracks}
    if method == "SAMPLE-AES" and schemes != {"cbcs"}:
        return "METHOD is SAMPLE-AES, but the initialization section does not say cbcs"
    if method is None and schemes != {None}:
        return "the initialization section says that samples are encrypted, but there is no EXT-X-KEY"
    return None
