"""Captions that are hidden in coded pictures: which codecs carry them, and how to see in raw bytes that they are there. Pure.

American television sends captions within the picture: as `cc_data` (ATSC A/53 Part 4, section 6.2.3) in the user data of MPEG-2, in an
SEI message of H.264 (ANSI/SCTE 128) and of HEVC, and on DVDs as pairs of line 21 in the user data of each group of pictures. All of it
begins with a mark of several bytes that no compressed data has by chance, so bytes that are read anyway (to find their digest, or to
open the file) tell whether there are any, without a decoder. What the captions say is read by `captions.cc_data` and `captions.cea608`.
"""

from __future__ import annotations

from collections.abc import Iterable

UNITS = {"h264": 6, "hevc": 39, "mpeg2video": 0xB2}
"""The codecs that carry captions, and the type of the unit that holds them: SEI (ITU-T H.264 table 7-1), prefix SEI (ITU-T H.265 table
7-1), the start code of user data (ISO/IEC 13818-2 table 6-1)."""

ESCAPED = frozenset({"h264", "hevc"})  # codecs that put a 3 after two zeros, so that no data looks like a start code

A53 = b"GA94\x03"  # user_identifier and user_data_type_code; what follows is cc_data
DVD = b"\x00\x00\x01\xb2CC\x01\xf8"
_LONGEST = max(len(A53), len(DVD))


class Finder:
    """Looks for the marks in bytes that come in pieces."""

    def __init__(self) -> None:
        self.found = False
        self._tail = b""

    def feed(self, data: bytes) -> None:
        if self.found:
            return
        self.found = are_in([self._tail + data[:_LONGEST], data])
        self._tail = (self._tail + data[-_LONGEST:])[1 - _LONGEST :]


def are_in(pieces: Iterable[bytes]) -> bool:
    """Whether one of these has a mark."""
    return any(mark in piece for piece in pieces for mark in (A53, DVD))
