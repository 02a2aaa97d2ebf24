"""A source of VVC becomes a title on real parts, and one whose worker's FFmpeg must not decode it says why it did not."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from catalog.asset import AssetStatus
from kit import tools
from kit.world import World
from tests.judged import must_failures
from tests.presented import decoded_times, present, read_back


@pytest.fixture
def source(world: World, tmp_path: Path) -> Path:
    path = tmp_path / "source.mp4"
    argv = [tools.ffmpeg(world.settings), "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=128x72:rate=24:duration=1"]
    argv += ["-c:v", "libvvenc", "-preset", "faster", "-threads", "1", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=120)
    return path


def test_a_source_of_vvc_becomes_a_title(world: World, source: Path, tmp_path: Path) -> None:
    asset = present(world, source)
    assert (asset.status, asset.error_code, asset.error_detail) == (AssetStatus.READY, None, None)
    assert asset.source is not None
    assert asset.source.video is not None
    assert asset.source.video.codec == "vvc"
    assert must_failures(world, asset.id) == []
    for track in read_back(world, asset, tmp_path).video:
        assert decoded_times(track.file) == [Fraction(index, 24) for index in range(24)]


def test_it_is_refused_where_ffmpeg_has_the_hole(world: World, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "version", lambda *_: "8.1.2")
    asset = present(world, source)
    assert (asset.status, asset.error_code) == (AssetStatus.ERRORED, "unsupported_codec")
