"""Captions of line 21: what the three ways of showing them come to as cues, and what does not belong to them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from captions import cea608
from captions.cc_data import Pair
from captions.found import RawCue
from tests import line21
from tests.line21 import BS, CR, DER, EDM, ENM, EOC, ITALIC, NOTE, RCL, RDC, RU2, RU3, TAB_2, TR, WHITE, row, timed, twice, words

FRAME_MS = 1001 / 30
END_MS = 20_000


def ms(frame: int) -> int:
    return round(frame * FRAME_MS)


def sent(pairs: dict[int, line21.Pair], field: int = 1) -> list[Pair]:
    return [Pair(ms(frame), field, *line21.sent(pair)) for frame, pair in sorted(pairs.items())]


def cues(pairs: Iterable[Pair], channel: str = "CC1") -> list[tuple[int, int, str, str]]:
    found, _ = cea608.decode(sorted(pairs, key=lambda pair: pair.at_ms), END_MS)
    return [(cue.start_ms, cue.end_ms, cue.text, cue.settings) for cue in found.get(channel, [])]


def test_pop_on_captions_come_and_go_at_once() -> None:
    first = [*twice(RCL, ENM, row(14, 4)), *words("Good"), NOTE, NOTE, *words(" evening,"), *twice(row(15), ITALIC), *words("friends")]
    second = [*twice(RCL, ENM, row(1, 8), TAB_2), *words("[Door]")]
    found = cues(sent(timed((0, first), (40, twice(EOC)), (60, second), (90, twice(EDM)), (100, twice(EOC)), (130, twice(EDM)))))
    assert found == [
        (ms(40), ms(90), "Good♪ evening,\n<i>friends</i>", ""),
        (ms(100), ms(130), "[Door]", "line:5%"),
    ]


def test_a_caption_that_replaces_another_ends_it_and_the_last_one_stays() -> None:
    found = cues(
        sent(
            timed(
                (0, [*twice(RCL, ENM, row(8)), *words("one")]),
                (20, twice(EOC)),
                (30, [*twice(RCL, ENM, row(15)), *words("two")]),
                (50, twice(EOC)),
            )
        )
    )
    assert found == [(ms(20), ms(50), "one", "line:45%"), (ms(50), END_MS, "two", "")]


def test_rolled_up_lines_begin_with_their_first_letter_and_keep_the_one_above() -> None:
    lines = [twice(RU2, CR, row(15)) + words(text) for text in ("First line", "Second line", "Third line")]
    found = cues(sent(timed((0, lines[0]), (60, lines[1]), (120, lines[2]), (180, twice(EDM)))))
    assert found == [
        (ms(6), ms(66), "First line", ""),
        (ms(66), ms(126), "First line\nSecond line", ""),
        (ms(126), ms(180), "Second line\nThird line", ""),
    ]


def test_a_pause_within_a_line_shows_nothing_early() -> None:
    found = cues(sent(timed((0, [*twice(RU3, CR, row(15)), *words("And the winner is ")]), (90, words("Bob")), (150, twice(EDM)))))
    assert found == [(ms(6), ms(90), "And the winner is", ""), (ms(90), ms(150), "And the winner is Bob", "")]


def test_rolled_up_lines_move_with_their_base() -> None:
    found = cues(sent(timed((0, [*twice(RU2, CR, row(15)), *words("one")]), (30, [*twice(CR, row(3)), *words("two")]), (60, twice(EDM)))))
    assert found == [(ms(6), ms(34), "one", ""), (ms(34), ms(60), "one\ntwo", "line:5%")]


def test_paint_on_captions_and_corrections() -> None:
    typed = [*twice(RDC, row(15)), *words("Hallo"), *twice(BS), *words("o, wrold")]
    mended = [*twice(row(15, 4), TAB_2), *words("  "), *twice(row(15, 4), (0x17, 0x23)), *twice(DER), *words("world")]
    found = cues(sent(timed((0, typed), (20, mended), (60, twice(EDM)))))
    assert found == [(ms(4), ms(60), "Hallo, world", "")]


def test_extended_characters_take_the_place_of_what_older_receivers_show() -> None:
    text = [
        *words("E"),
        *twice((0x12, 0x21)),
        *words("A"),
        *twice((0x13, 0x30)),
        *words("*|~"),
        *twice((0x11, 0x33)),
        *words("("),
        *twice((0x13, 0x29)),
    ]
    found = cues(sent(timed((0, [*twice(RCL, row(15)), *text]), (40, twice(EOC)), (60, twice(EDM)))))
    assert found == [(ms(40), ms(60), "ÉÄá÷ñ¿{", "")]


def test_every_character_of_every_set() -> None:
    assert len(cea608._SPECIAL) == 16
    assert all(len(letters) == 32 for letters in cea608._EXTENDED.values())
    plain = "".join(cea608._BASIC.get(code, chr(code)) for code in range(0x20, 0x80))
    assert plain.startswith(' !"#$%&’()á+,-./0123456789:;<=>?@ABC')
    assert plain.endswith("Z[é]íóúabcdefghijklmnopqrstuvwxyzç÷Ññ█")


def test_what_is_too_long_for_its_row_overwrites_the_end() -> None:
    long = [*words("0123456789012345678901234567890123"), *twice((0x12, 0x21))]
    found = cues(sent(timed((0, [*twice(RCL, row(15)), *long]), (40, twice(EOC)))))
    assert [text for _, _, text, _ in found] == ["0123456789012345678901234567890É"]


def test_text_cannot_become_a_tag() -> None:
    found = cues(sent(timed((0, [*twice(RCL, row(15)), *words("<i>&")]), (10, twice(EOC)), (20, twice(EDM)))))
    assert [text for _, _, text, _ in found] == ["&lt;i&gt;&amp;"]


def test_channels_services_and_programme_data_do_not_mix() -> None:
    one = [*twice(RU2, CR, row(15)), *words("English")]
    two = line21.on_channel_2([*twice(RU2, CR, row(15)), *words("Spanish")])
    service = [*twice(TR), *words("http://example.com"), *twice(CR)]
    first = sent(timed((0, one), (20, two), (40, service), (70, twice(RU2)), (72, words("!")), (80, line21.on_channel_2(twice(EDM)))))
    about = [(0x01, 0x03), *words("Film"), (0x0F, 0x1D)]
    third = sent(timed((0, [*twice(RDC, row(1)), *words("Tri")]), (9, about), (14, [(0x15, 0x29)] * 2), (16, words("o"))), field=2)
    found, decoder = cea608.decode(sorted(first + third, key=lambda pair: pair.at_ms), END_MS)
    assert {name: [cue.text for cue in channel] for name, channel in found.items()} == {
        "CC1": ["English", "English!"],
        "CC2": ["Spanish"],
        "CC3": ["Tri", "Trio"],
    }
    assert found["CC2"][0].end_ms == ms(80)
    assert decoder.damaged == 0


def test_what_was_damaged_is_left_out_and_counted() -> None:
    pairs = sent(timed((0, [*twice(RCL, row(15)), *words("abcd")]), (10, twice(EOC)), (20, twice(EDM))))
    pairs[5] = pairs[5]._replace(second=pairs[5].second ^ 0x80)  # "cd"
    pairs[6] = pairs[6]._replace(first=pairs[6].first ^ 0x80)  # the first EOC
    found, decoder = cea608.decode(pairs, END_MS)
    assert found["CC1"] == [RawCue(0, ms(11), ms(20), "abc")]
    assert (decoder.damaged, decoder.read) == (2, 8)


def test_who_comes_in_the_middle_waits_for_a_beginning() -> None:
    assert cues(sent(timed((0, words("the end of a caption")), (20, twice(EDM))))) == []


def test_a_style_within_a_row_takes_a_column() -> None:
    styled = [*twice(RCL, row(15)), *words("a"), *twice(ITALIC), *words("b"), *twice(WHITE), *words("c")]
    found = cues(sent(timed((0, styled), (20, twice(EOC)))))
    assert [text for _, _, text, _ in found] == ["a <i>b</i> c"]


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(1, 2)), max_size=300))
def test_no_bytes_make_it_fail_and_cues_are_in_order(codes: list[tuple[int, int, int]]) -> None:
    pairs = [Pair(ms(frame), field, line21.odd(first & 0x7F), second) for frame, (first, second, field) in enumerate(codes)]
    found, _ = cea608.decode(pairs, END_MS)
    for channel in found.values():
        assert all(cue.start_ms < cue.end_ms and cue.text for cue in channel)
        assert all(before.end_ms <= after.start_ms for before, after in pairwise(channel))
