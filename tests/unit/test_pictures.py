"""Which pictures a title has, where each is, and which candidate becomes the poster."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import pytest

from media import pictures
from media.plan import EncodePlan
from tests.titles import plan_of
from transcode.poster import LOOK_HEIGHT, LOOK_WIDTH, Look, best
from transcode.poster_steps import frame_at

RATES = (Fraction(24), Fraction(30000, 1001), Fraction(50), Fraction(1))


def plan(seconds: float, rate: Fraction = Fraction(24), rungs: tuple[str, ...] = ("480p", "720p", "1080p")) -> EncodePlan:
    return plan_of(frames=max(1, round(Fraction(str(seconds)) * rate)), rate=rate, rungs=rungs)


def portrait(of: EncodePlan) -> EncodePlan:
    return replace(of, video=tuple(replace(rung, width=rung.height, height=rung.width) for rung in of.video))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.05, 2, 3, 59.9, 1999, 2001, 7200, 12 * 3600])
def test_a_storyboard_covers_the_whole_length_in_few_sheets(seconds: float, rate: Fraction) -> None:
    title = plan(seconds, rate)
    board = pictures.storyboard(title)
    assert len(board.sheets) <= pictures.MOST_SHEETS
    assert [gop for gops in board.sheets for gop in gops] == list(board.gops)
    cues = re.findall(r"(\S+) --> (\S+)\n\S+?/storyboard-(\d{3})\.jpg#xywh=(\d+),(\d+),(\d+),(\d+)", pictures.render_storyboard(title))
    assert len(cues) == len(board.gops)
    assert cues[0][0] == "00:00:00.000"
    assert [cue[1] for cue in cues[:-1]] == [cue[0] for cue in cues[1:]]
    hours, minutes, last = cues[-1][1].split(":")
    assert abs(int(hours) * 3600 + int(minutes) * 60 + float(last) - float(title.grid.duration)) < 0.001
    for _, _, number, left, top, width, height in cues:
        tiles = len(board.sheets[int(number)])
        assert int(left) + int(width) <= board.columns * board.tile[0]
        assert int(top) + int(height) <= board.rows(tiles) * board.tile[1]
    assert len({cue[2:] for cue in cues}) == len(cues)


def test_tiles_have_the_titles_shape() -> None:
    assert pictures.storyboard(plan(10)).tile == (160, 90)
    assert pictures.storyboard(portrait(plan(10))).tile == (90, 160)


def test_a_time_is_snapped_to_the_group_that_is_on_show() -> None:
    title = plan(9)
    asked = [(0, 0), (1.999, 0), (2, 1), (7.9, 3), (8.5, 4), (9, 4), (1e6, 4)]
    assert [pictures.gop_at(title, Fraction(str(time))) for time, _ in asked] == [gop for _, gop in asked]


def test_pictures_come_from_the_smallest_rung_that_is_large_enough_and_is_there() -> None:
    title = plan(10)
    asked = [(160, "480p"), (854, "480p"), (960, "720p"), (1280, "720p"), (1920, "1080p"), (4000, "1080p")]
    assert [pictures.rung_for(title, width).name for width, _ in asked] == [name for _, name in asked]
    assert pictures.rung_for(title, 160, lost=["480p"]).name == "720p"
    assert pictures.rung_for(title, 4000, lost=["1080p"]).name == "720p"
    hevc = replace(title, video=(*title.video, replace(title.video[0], name="480p-hevc", codecs="hvc1.1.6.L93.90")))
    assert pictures.rung_for(hevc, 160).name == "480p"
    with pytest.raises(ValueError, match="no rung"):
        pictures.rung_for(title, 160, lost=["480p", "720p", "1080p"])


def test_nothing_is_enlarged() -> None:
    rung = pictures.rung_for(plan(10), 160)
    assert pictures.fitted(rung, 1280, by_width=True) == (rung.width, rung.height)
    assert pictures.fitted(rung, 320, by_width=True) == (320, 180)
    assert pictures.fitted(portrait(plan(10)).video[0], 320, by_width=True) == (320, 570)


@pytest.mark.parametrize(("seconds", "gops"), [(1, 1), (3, 2), (6, 3), (8, 4), (60, 4), (7200, 4)])
def test_a_preview_is_a_few_moments_and_at_most_six_seconds(seconds: float, gops: int) -> None:
    title = plan(seconds)
    shown = pictures.preview(title)
    assert len(set(shown.gops)) == gops
    assert max(shown.gops) < title.grid.gop_count
    assert len(shown.gops) * shown.frames <= 6 * title.grid.frame_rate
    assert seconds < 6 or len(shown.gops) * shown.frames >= 3 * title.grid.frame_rate


def test_names_of_pictures_are_told_from_others() -> None:
    good = ["poster.jpg", pictures.chosen_poster(12.5), pictures.sheet(3), "storyboard.vtt", "preview.mp4"]
    assert pictures.chosen_poster(12.5) == "poster-00012500.jpg"
    assert all(pictures.NAME.fullmatch(name) for name in good)
    bad = ["poster-1.jpg", "poster.jpg.jpg", "storyboard-1000.jpg", "../poster.jpg", "poster.png", "preview.mp4\n"]
    assert not any(pictures.NAME.fullmatch(name) for name in bad)


# -- the poster


def look(grey: bytes, edges: int) -> Look:
    found = Look.of(grey + bytes([edges]) * len(grey))
    assert found is not None
    return found


AREA = LOOK_WIDTH * LOOK_HEIGHT
BLACK = look(bytes([2]) * AREA, 0)
WHITE = look(bytes([253]) * AREA, 0)
CARD = look(bytes([60]) * (AREA * 9 // 10) + bytes([235]) * (AREA - AREA * 9 // 10), 4)
SCENE = look(bytes(30 + (7 * at * at + 13 * at) % 200 for at in range(AREA)), 8)
BLURRED = look(bytes(30 + (7 * at * at + 13 * at) % 200 for at in range(AREA)), 0)
DIM = look(bytes((30 + (7 * at * at + 13 * at) % 200) // 8 for at in range(AREA)), 1)


@pytest.mark.parametrize("worse", [BLACK, WHITE, CARD, BLURRED, DIM])
def test_a_scene_is_better_than_black_white_a_title_card_or_a_blur(worse: Look) -> None:
    assert worse.score < 0.8 * SCENE.score
    assert best([worse, SCENE]) == 1
    assert best([SCENE, worse]) == 0


def test_the_earliest_of_the_good_ones_is_taken() -> None:
    assert best([None, BLACK, SCENE, SCENE]) == 2


def test_a_title_that_is_black_throughout_has_a_black_poster() -> None:
    assert best([BLACK, BLACK]) == 0
    assert best([None, None]) is None
    assert best([]) is None


def test_a_look_that_is_not_whole_is_none() -> None:
    assert Look.of(b"") is None
    assert Look.of(bytes(2 * AREA - 1)) is None


def test_a_chosen_time_becomes_a_frame_of_the_title() -> None:
    title = plan(10)
    assert [frame_at(title, time) for time in (0, 0.04, 1.5, 9.99, 10, 11)] == [0, 0, 36, 239, 239, 239]
