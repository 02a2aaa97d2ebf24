"""Real files with damage: whatever it does to them, they are accepted as something that can be encoded, or refused with a code."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ingest.checks import REASONS
from ingest.probe import probe
from kit.errors import Rejected
from kit.world import World
from tests.clips import Clips

SOURCES = ("fast-start", "fragmented", "mkv", "webm", "ts", "avi", "flv", "mpeg-ps", "cover-first", "edit-list", "hevc-10bit", "encrypted")
SEEDS = range(6)


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """`whole` with some bytes changed, lost, added or set to an extreme, most likely where headers and indexes are."""
    data = bytearray(whole)

    def somewhere() -> int:
        begin, end = chance.randrange(min(len(data), 2000)), len(data) - 1 - chance.randrange(min(len(data), 6000))
        return chance.choice([begin, end, chance.randrange(len(data))])

    kind = chance.randrange(4)
    if kind == 0:
        for _ in range(chance.randrange(1, 40)):
            data[somewhere()] = chance.randrange(256)
    elif kind == 1:
        at = somewhere()
        del data[at : at + chance.randrange(1, 3000)]
    elif kind == 2:
        at = somewhere()
        data[at:at] = chance.randbytes(chance.randrange(1, 500))
    else:
        for _ in range(chance.randrange(1, 6)):
            at = somewhere()
            data[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0"])
    return bytes(data)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SOURCES)
def test_damage_is_no_bug_of_ours(local_world: World, clips: Clips, tmp_path: Path, name: str, seed: int) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(damaged(clips(name).read_bytes(), random.Random(f"{name} {seed}")))
    try:
        info = probe(local_world, upload)
    except Rejected as refused:
        assert refused.code in REASONS
        assert refused.detail.endswith(".")
        return
    if info.video is None:  # what says that there are pictures was hit, and the sound was not
        assert info.audio and 0 < info.duration <= local_world.settings.max_duration_s + 1
        return
    assert 10 <= info.video.frame_rate <= 60
    assert info.video.start < info.video.end <= info.video.start + local_world.settings.max_duration_s + 1
    assert min(info.video.width, info.video.height) >= 16
