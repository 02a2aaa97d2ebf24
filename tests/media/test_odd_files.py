"""Odd but valid files: the short form of `python -m tests.odd_files`, two of each of some containers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kit import tools
from kit.world import World
from tests.odd_files import check, make

CONTAINERS = frozenset({"mov", "mkv", "avi", "mxf"})
COUNT = 12


def test_odd_files_are_what_they_are(local_world: World, tmp_path: Path) -> None:
    """Display size, tracks and duration within a frame; every rung of the first segment encodes and verifies."""
    wrong, made = {}, 0
    for odd in make(tmp_path, tools.ffmpeg(local_world.settings), seed=7, count=COUNT, containers=CONTAINERS):
        made += 1
        if (said := check(local_world, odd, tmp_path / odd.path.stem)) is not None:
            wrong[odd.words] = said
    assert not wrong
    assert made >= COUNT * 3 // 4, "FFmpeg makes fewer of the combinations than it should"


def test_a_wrong_expectation_is_noticed(local_world: World, tmp_path: Path) -> None:
    """Planted: another size, a track more."""
    (odd,) = make(tmp_path, tools.ffmpeg(local_world.settings), seed=7, count=1, containers=CONTAINERS)
    assert "display size" in str(check(local_world, replace(odd, width=odd.width + 4), tmp_path / "a"))
    assert "audio tracks" in str(check(local_world, replace(odd, audio_tracks=odd.audio_tracks + 1), tmp_path / "b"))
    assert "of video instead" in str(check(local_world, replace(odd, seconds=3.0), tmp_path / "c"))
