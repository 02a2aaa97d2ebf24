"""Matroska and WebM: clocks, and what is known of a file by its cues."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.probe import probe
from kit.errors import Rejected
from kit.world import World
from tests.clips import Clips


def test_a_clock_that_starts_late_takes_nothing_from_the_file(local_world: World, clips: Clips) -> None:
    late, usual = (probe(local_world, clips(name)).video for name in ("mkv-late", "mkv"))
    assert late is not None
    assert usual is not None
    assert (late.start, late.packets, late.end - late.start) == (5, usual.packets, usual.end - usual.start)


def test_a_late_clock_does_not_hide_that_the_end_is_missing(local_world: World, clips: Clips, tmp_path: Path) -> None:
    data = clips("mkv-late").read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(Rejected) as refused:
        probe(local_world, cut)
    assert refused.value.code == "truncated"
