"""The pairs of line 21 that a source carries, by time. Pure.

FFmpeg copies what holds captions out of a source and decodes nothing (`captions.extract`). It leaves two files: the copied bytes, and a
line for each packet with its time and size (the "framecrc" format). Pictures are stored in another order than they are shown, so packets
are put in order of display first.

A pair is two bytes with odd parity, what one field of a television picture carried in line 21 (ANSI/CTA-608-E section 3). A packet may
hold several of one field; these follow each other at the rate of the fields, as they did on the air.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, NamedTuple

from media import closed_captions

_LINE = re.compile(r"0,\s*(-?\d+|NOPTS),\s*(-?\d+|NOPTS),\s*-?\d+,\s*(\d+),")
_TICK = re.compile(r"#tb 0: (\d{1,9})/(\d{1,9})")
_NO_TIME = {"NOPTS", str(-(2**63))}


class Pair(NamedTuple):
    """Two bytes of line 21, as they were sent."""

    at_ms: int  # on the title's clock
    field: int  # 1 or 2
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Carried:
    """What a source carries: pairs by time, without those that mean nothing, and whether there is anything in CEA-708's own form."""

    pairs: tuple[Pair, ...]
    digital: bool = False


def of_pictures(codec: str) -> Callable[[bytes], Iterator[bytes]]:
    """How the constructs of `cc_data` (three bytes each) are got out of a packet of this codec. Raises KeyError for another codec."""
    closed_captions.UNITS[codec]
    escaped = codec in closed_captions.ESCAPED

    def constructs(packet: bytes) -> Iterator[bytes]:
        plain = packet.replace(b"\x00\x00\x03", b"\x00\x00") if escaped else packet
        yield from _of_a53(plain)
        yield from _of_dvd(plain)

    return constructs


def of_track(packet: bytes) -> Iterator[bytes]:
    """The same of a caption track, whose packets FFmpeg hands over as constructs already."""
    yield packet


def _of_a53(packet: bytes) -> Iterator[bytes]:
    """ATSC A/53 Part 4 table 6.9: flags and a count in a byte, a byte without meaning, the constructs."""
    at = packet.find(closed_captions.A53)
    while at >= 0:
        at += len(closed_captions.A53)
        if at < len(packet) and packet[at] & 0x40:  # process_cc_data_flag
            yield packet[at + 2 : at + 2 + 3 * (packet[at] & 0x1F)]
        at = packet.find(closed_captions.A53, at)


def _of_dvd(packet: bytes) -> Iterator[bytes]:
    """Of a whole group of pictures: a count of frames, then for each field seven bits set, one for which field, and the two bytes."""
    at = packet.find(closed_captions.DVD)
    if at < 0:
        return
    at += len(closed_captions.DVD)
    head = packet[at] if at < len(packet) else 0
    blocks = packet[at + 1 : at + 1 + 3 * (2 * (head >> 1 & 0x1F) + (head & 1))]
    fields = (blocks[place : place + 3] for place in range(0, len(blocks) - 2, 3))
    yield b"".join(bytes((0xFC if field[0] & 1 else 0xFD, field[1], field[2])) for field in fields if field[0] >= 0xFE)


def read(listing: Iterable[str], data: BinaryIO, constructs: Callable[[bytes], Iterator[bytes]], origin: Fraction) -> Carried:
    """What lies in the copied packets. `origin` is the time of the source (seconds) at which the title begins."""
    packets: list[tuple[int, bytes]] = []
    digital = False
    for at_ms, packet in _packets(listing, data, origin):
        found = b"".join(constructs(packet))
        digital = digital or _is_digital(found)
        if _says_something(found):
            packets.append((at_ms, found))
    packets.sort(key=lambda item: item[0])
    return Carried(tuple(_pairs(packets)), digital)


def _packets(listing: Iterable[str], data: BinaryIO, origin: Fraction) -> Iterator[tuple[int, bytes]]:
    """Each packet with its time in the title (ms); one without a time, such as a second field, has that of the one before it."""
    tick, at_ms = Fraction(0), 0
    for line in listing:
        if head := _TICK.match(line):
            tick = Fraction(int(head[1]), max(1, int(head[2])))
        elif found := _LINE.match(line):
            dts, pts, size = found.groups()
            if said := [time for time in (pts, dts) if time not in _NO_TIME]:
                at_ms = _ms(int(said[0]), tick, origin)
            yield at_ms, data.read(int(size))


def _ms(ticks: int, tick: Fraction, origin: Fraction) -> int:
    """To the nearest; in integers, because an hour has a hundred thousand packets."""
    above = 2000 * (ticks * tick.numerator * origin.denominator - origin.numerator * tick.denominator)
    below = tick.denominator * origin.denominator
    return (above + below) // (2 * below)


def _says_something(constructs: bytes) -> bool:
    """Whether a pair of line 21 is more than the filling that is sent when nothing is."""
    triples = zip(constructs[::3], constructs[1::3], constructs[2::3], strict=False)
    return any(head & 6 == 4 and (first | second) & 0x7F for head, first, second in triples)


def _is_digital(constructs: bytes) -> bool:
    """Whether a packet of CEA-708 begins here (cc_type 3) whose first block is of a service and not empty (CTA-708-E sections 5 and 6)."""
    return any(head & 7 == 7 and second & 0xE0 and second & 0x1F for head, second in zip(constructs[::3], constructs[2::3], strict=False))


def _pairs(packets: Iterable[tuple[int, bytes]]) -> Iterator[Pair]:
    latest_ms = [-(1 << 62)] * 2
    for at_ms, constructs in packets:
        sent = [0, 0]
        for head, first, second in zip(constructs[::3], constructs[1::3], constructs[2::3], strict=False):
            if head & 6 != 4:  # not valid, or of CEA-708
                continue
            field = head & 1
            latest_ms[field] = max(latest_ms[field], at_ms + (1001 * sent[field] + 15) // 30)  # a pair every 1001/30 ms
            sent[field] += 1
            if (first | second) & 0x7F:
                yield Pair(latest_ms[field], field + 1, first, second)
