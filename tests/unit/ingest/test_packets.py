"""Packet lines, summed up as they come."""

from __future__ import annotations

import random
from collections.abc import Iterable
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from ingest.packets import BINS, REORDER, PacketScan, Reach, Scan

TICKS = {0: Fraction(1, 1000), 1: Fraction(1, 48_000)}


def scan(lines: Iterable[str], depth: int = 0) -> Scan:
    reader = PacketScan(0, depth, TICKS)
    for line in lines:
        reader.line(line)
    return reader.result()


def test_pictures_that_come_out_of_order_are_evenly_spaced() -> None:
    """Decoding order I P B B, presentation order I B B P."""
    lines = ["0,0,-80,40,9,K__"]
    for group in range(20):
        at = group * 120
        lines += [f"0,{at + 120},{at - 40},40,9,___", f"0,{at + 40},{at},40,9,___", f"0,{at + 80},{at + 40},40,9,___"]
    found = scan(lines, depth=2)
    assert found.spacing is not None
    assert (found.spacing.pictures, found.spacing.first, found.spacing.last) == (61, 0, Fraction(24, 10))
    assert found.spacing.shortest == found.spacing.longest == Fraction(1, 25)
    assert found.last_duration == Fraction(1, 25)


def test_without_presentation_times_decoding_times_count_later_by_the_reorder_depth() -> None:
    lines = [f"0,N/A,{index * 40},40,9,{'K__' if index % 25 == 0 else '___'}" for index in range(100)]
    found = scan(lines, depth=1)
    assert found.spacing is not None
    assert (found.spacing.pictures, found.spacing.first, found.spacing.last) == (100, Fraction(4, 100), 4)
    assert found.keyframes == (Fraction(4, 100), Fraction(104, 100), Fraction(204, 100), Fraction(304, 100))


def test_one_missing_presentation_time_does_not_make_a_gap() -> None:
    lines = [f"0,{'N/A' if index == 50 else index * 40},{index * 40 - 40},40,9,{'___' if index else 'K__'}" for index in range(100)]
    found = scan(lines, depth=1)
    assert found.spacing is not None
    assert (found.spacing.first, found.spacing.longest) == (0, Fraction(1, 25))


def test_pictures_hidden_by_an_edit_list_do_not_count_but_are_held() -> None:
    lines = [f"0,{at},{at},40,9,{'K' if at == -1000 else '_'}{'D' if at < 0 else '_'}_" for at in range(-1000, 1000, 40)]
    found = scan(lines)
    assert found.spacing is not None
    assert (found.spacing.pictures, found.spacing.first) == (25, 0)
    assert found.reach[0] == Reach(Fraction(-1), Fraction(1))
    assert found.keyframes == ()


def test_pictures_before_the_first_keyframe_cannot_be_shown() -> None:
    lines = [f"0,{at},{at},40,9,{'K__' if at == 400 else '___'}" for at in range(0, 1000, 40)]
    found = scan(lines)
    assert found.spacing is not None
    assert (found.spacing.pictures, found.spacing.first, found.keyframes) == (15, Fraction(4, 10), (Fraction(4, 10),))


def test_a_stream_without_any_keyframe_flag_is_still_measured() -> None:
    found = scan([f"0,{at},{at},40,9,___" for at in range(0, 400, 40)])
    assert found.spacing is not None
    assert found.spacing.pictures == 10
    assert found.keyframes == ()


def test_keyframes_are_thinned_to_two_in_a_second() -> None:
    found = scan([f"0,{at},{at},10,9,K__" for at in range(0, 10_000, 10)])
    assert found.keyframes == tuple(Fraction(index, 2) for index in range(20))


def test_empty_packets_are_not_pictures() -> None:
    found = scan(["0,0,0,40,9,K__", "0,40,40,40,0,___", "0,80,80,40,9,___"])
    assert found.spacing is not None
    assert found.spacing.pictures == 2


def test_other_streams_say_only_how_far_they_reach() -> None:
    found = scan(["0,0,0,40,9,K__", "1,-1024,-1024,1024,9,KD_", "1,0,0,1024,9,K__", "1,47000,47000,1000,9,K__"])
    assert found.reach[1] == Reach(Fraction(-1024, 48_000), Fraction(1))
    assert found.spacing is not None
    assert found.spacing.pictures == 1


def test_side_data_tells_of_encryption() -> None:
    assert scan(["0,0,0,40,9,K__,Encryption info"]).encrypted
    assert not scan(["0,0,0,40,9,K__,MPEGTS Stream ID"]).encrypted
    assert not scan(["0,0,0,40,9,K__", "1,0,0,1024,9,K__,Encryption info"]).encrypted


def test_no_picture_is_no_spacing() -> None:
    assert scan([]).spacing is None
    assert scan(["1,0,0,1024,9,K__"]).spacing is None


def test_memory_stays_bounded_whatever_the_times_are() -> None:
    chance = random.Random(7)
    reader, time = PacketScan(0, 0, TICKS), 0
    for _ in range(3 * BINS):
        time += chance.randrange(1, 10**6)
        reader.line(f"0,{time},{time},1,9,K__")
    assert len(reader._shown.steps) <= BINS
    assert len(reader._shown.waiting) <= REORDER
    assert reader.pictures == 3 * BINS


@given(
    st.lists(st.text(max_size=60) | st.from_regex(r"[01],(-?\d{1,30}|N/A),(-?\d{1,30}|N/A),\d{0,30},\d{0,12},[K_][D_][C_]", fullmatch=True))
)
def test_any_line_at_all_is_survived(lines: list[str]) -> None:
    found = scan(lines, depth=3)
    if found.spacing is not None:
        assert found.spacing.first <= found.spacing.last
        assert 0 <= found.spacing.shortest <= max(found.spacing.longest, found.spacing.shortest)
    assert list(found.keyframes) == sorted(found.keyframes)
