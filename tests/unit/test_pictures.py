"""Which pictures a title has, where each is, and which candidate becomes the poster."""

from __future__ import annotations

import re
from collections.abc import Callable
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


def out_of_place(title: EncodePlan) -> list[str]:
    """The tiles of a title that lie beyond their sheet, or where another one lies, by what the VTT says of them."""
    board = pictures.storyboard(title)
    found, taken = [], set()
    for number, *area in re.findall(r"storyboard-(\d{3})\.jpg#xywh=(\d+),(\d+),(\d+),(\d+)", pictures.render_storyboard(title)):
        left, top, width, height = map(int, area)
        tiles = len(board.sheets[int(number)]) if int(number) < len(board.sheets) else 0
        beyond = left + width > board.columns * board.tile[0] or top + height > board.rows(tiles) * board.tile[1]
        if beyond or (number, left, top) in taken:
            found.append(f"{number}: {left},{top}")
        taken.add((number, left, top))
    return found


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.05, 2, 3, 59.9, 1999, 2001, 7200, 12 * 3600])
def test_a_storyboard_covers_the_whole_length_in_few_sheets(seconds: float, rate: Fraction) -> None:
    title = plan(seconds, rate)
    board = pictures.storyboard(title)
    assert len(board.sheets) <= pictures.MOST_SHEETS
    assert [gop for gops in board.sheets for gop in gops] == list(board.gops)
    times = re.findall(r"(\S+) --> (\S+)", pictures.render_storyboard(title))
    assert len(times) == len(board.gops)
    assert times[0][0] == "00:00:00.000"
    assert [end for _, end in times[:-1]] == [begin for begin, _ in times[1:]]
    hours, minutes, last = times[-1][1].split(":")
    assert abs(int(hours) * 3600 + int(minutes) * 60 + float(last) - float(title.grid.duration)) < 0.001
    assert out_of_place(title) == []


def _on_one_sheet(board: pictures.Storyboard, tile: int) -> tuple[int, int, int]:
    return 0, tile % board.columns * board.tile[0], tile // board.columns * board.tile[1]


def _one_row_late(board: pictures.Storyboard, tile: int) -> tuple[int, int, int]:
    number, at = divmod(tile, board.per_sheet)
    return number, at % board.columns * board.tile[0], (at // board.columns + 1) * board.tile[1]


def _columns_for_rows(board: pictures.Storyboard, tile: int) -> tuple[int, int, int]:
    number, at = divmod(tile, board.per_sheet)
    return number, at // board.columns * board.tile[0], at // board.columns * board.tile[1]


@pytest.mark.parametrize("fault", [_on_one_sheet, _one_row_late, _columns_for_rows])
def test_a_tile_beyond_its_sheet_would_be_seen(fault: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures.Storyboard, "place", fault)
    assert out_of_place(plan(2001)) != []


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


WORSE = {"black": BLACK, "white": WHITE, "card": CARD, "blurred": BLURRED, "dim": DIM}


def preferred() -> set[str]:
    """What is taken although there is a scene, before or behind it, or comes near to one."""
    first = {name for name, worse in WORSE.items() if (best([worse, SCENE]), best([SCENE, worse])) != (1, 0)}
    return first | {name for name, worse in WORSE.items() if worse.score >= 0.8 * SCENE.score}


def test_a_scene_is_better_than_black_white_a_title_card_or_a_blur() -> None:
    assert preferred() == set()


@pytest.mark.parametrize(
    ("name", "broken", "taken"),
    [
        ("_FULL_EDGES", 1e9, "blurred"),  # nothing counts as sharp
        ("NEARLY_AS_GOOD", 0.5, "blurred"),  # half as good is good enough
        ("NEARLY_AS_GOOD", 0.0, "black"),  # the first one, whatever it shows
        ("_ramp", lambda *_: 0.0, "black"),  # everything is as dark as the dark
    ],
)
def test_a_chooser_that_takes_something_else_would_be_seen(name: str, broken: object, taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"transcode.poster.{name}", broken)
    assert taken in preferred()


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
