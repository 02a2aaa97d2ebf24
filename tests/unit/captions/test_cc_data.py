"""From copied packets to pairs of line 21 by time: order, escapes, times that are missing, several pairs in one packet."""

from __future__ import annotations

import io
from fractions import Fraction

import pytest

from captions import cc_data
from captions import line21 as judged
from captions.cc_data import Carried, Pair
from media import closed_captions
from tests import line21
from tests.line21 import EDM, EOC, RCL, constructs, row, sei, sent, timed, twice, user_data, words

HEAD = "#software: x\n#tb 0: 1/90000\n#media_type 0: video\n#codec_id 0: h264\n"


def carried(packets: list[tuple[str, bytes]], codec: str = "h264", origin: Fraction = Fraction(0)) -> Carried:
    listing = HEAD + "".join(f"0, {times}, 3003, {len(data):8d}, 0x12345678, F=0x0\n" for times, data in packets)
    reader = cc_data.of_track if codec == "track" else cc_data.of_pictures(codec)
    return cc_data.read(listing.splitlines(), io.BytesIO(b"".join(data for _, data in packets)), reader, origin)


def test_pairs_come_in_the_order_in_which_pictures_are_shown() -> None:
    packets = [
        ("0, 3003", sei(constructs([(65, 66)]))),
        ("3003, 9009", sei(constructs([(69, 70)]))),
        ("6006, 6006", sei(constructs([(67, 68)]))),
    ]
    found = carried(packets, origin=Fraction(1, 100))
    assert found == Carried(tuple(Pair(at, 1, *sent(pair)) for at, pair in ((23, (65, 66)), (57, (67, 68)), (90, (69, 70)))))


def test_zeros_that_h264_escapes_are_read_as_they_were() -> None:
    packet = b"\xfc\x00\x00\xfd\x00\x01" + b"\xfc" + sent((65, 66))  # a one after zeros looks like a start code
    assert b"\x00\x00\x03" not in packet
    message = sei(b"\xf8\x00\x00" + b"\x00\x00\x01" + packet)
    assert b"\x00\x00\x03" in message
    assert carried([("0, 0", message)]).pairs[-1] == Pair(33, 1, *sent((65, 66)))


def test_a_packet_without_a_time_has_that_of_the_one_before() -> None:
    fields = [
        ("0, 9000", sei(constructs([(65, 66)]))),
        ("NOPTS, NOPTS", sei(constructs([(67, 68)]))),
        ("18000, NOPTS", sei(constructs([(69, 70)]))),
    ]
    assert [pair.at_ms for pair in carried(fields).pairs] == [100, 100, 200]


def test_several_pairs_of_a_field_follow_each_other_as_on_the_air() -> None:
    found = carried(
        [("0, 0", constructs([(65, 66), (67, 68), (0, 0), (69, 70)], [(71, 72)])), ("0, 4500", constructs([(73, 74)]))], "track"
    )
    assert [(pair.at_ms, pair.field) for pair in found.pairs] == [(0, 1), (33, 1), (100, 1), (0, 2), (100, 1)]


def test_mpeg_2_and_dvds() -> None:
    start = b"\x00\x00\x01\xb2"
    assert carried([("0, 0", start + user_data(constructs([(65, 66)])))], "mpeg2video").pairs == (Pair(0, 1, *sent((65, 66))),)
    blocks = b"".join(b"\xff" + sent((65 + number, 66)) + b"\xfe" + sent((0, 0)) for number in range(3))
    dvd = start + b"CC\x01\xf8" + bytes((0x80 | 3 << 1,)) + blocks + b"\xff\xff\xff"
    assert [(pair.at_ms, pair.field, pair.first) for pair in carried([("0, 0", dvd)], "mpeg2video").pairs] == [
        (0, 1, line21.odd(65)), (33, 1, line21.odd(66)), (67, 1, line21.odd(67)),
    ]  # fmt: skip


def test_what_is_empty_digital_or_broken_off() -> None:
    assert carried([("0, 0", sei(constructs()))]) == Carried(())
    assert carried([("0, 0", sei(b"\xff\x02\x22"))]) == Carried((), digital=True)
    assert carried([("0, 0", sei(b"\xff\x02\x00"))]) == Carried(())  # a packet without any service
    assert carried([("0, 0", b"\xb5\x00\x31GA94\x03"), ("0, 3003", b"\x00\x00\x01\xb2CC\x01\xf8")], "mpeg2video") == Carried(())
    with pytest.raises(KeyError):
        cc_data.of_pictures("vp9")


def test_what_is_told_when_there_are_no_cues() -> None:
    assert judged.captions_of(Carried(()), 1000).detail == ""
    assert judged.captions_of(Carried((), digital=True), 1000).detail == judged.DIGITAL
    pairs = tuple(Pair(at, 1, pair[0], pair[1]) for at, pair in enumerate([*twice(RCL, row(15)), *words("a"), *twice(EOC, EDM)]))
    assert judged.captions_of(Carried(pairs), 1000).detail == judged.DAMAGED  # no parity at all
    said = timed((0, [*twice(RCL, row(15)), *words("a"), *twice(EOC)]), (20, twice(EDM)))
    whole = tuple(Pair(33 * at, 1, *sent(pair)) for at, pair in said.items())
    found = judged.captions_of(Carried(whole), 1000)
    assert [cue.text for cue in judged.as_one(found)[0]] == ["a"]
    assert found.detail == ""


def test_of_a_track_with_several_channels_the_first_is_taken_and_the_others_are_named() -> None:
    both = []
    for field in (1, 2):
        said = timed((0, [*twice(RCL, row(15)), *words("ab")]), (10, twice(EOC)), (20, twice(EDM)))
        both += [Pair(33 * at, field, *sent(pair)) for at, pair in said.items()]
    found = judged.captions_of(Carried(tuple(sorted(both, key=lambda pair: pair.at_ms))), 1000)
    cues, problems = judged.as_one(found)
    assert len(cues) == 1
    assert [problem.detail for problem in problems] == ["The track also carries CC3; CC1 was taken."]


def test_the_finder_sees_a_mark_however_the_bytes_are_cut() -> None:
    data = bytes(50) + closed_captions.DVD + bytes(50)
    for size in (1, 3, 7, 64, 200):
        finder = closed_captions.Finder()
        for start in range(0, len(data), size):
            finder.feed(data[start : start + size])
        assert finder.found, size
    finder = closed_captions.Finder()
    finder.feed(b"GA94")
    finder.feed(b"\x02GA94")
    assert not finder.found
    finder.feed(b"\x03")
    assert finder.found
