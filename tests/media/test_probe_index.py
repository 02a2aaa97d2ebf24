"""What the index of a file says and what all of its packets say is the same, for every clip there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.probe import Indexed, probe, probe_by_index
from kit.errors import Rejected
from kit.scratch import opened
from kit.sparse import size_of
from kit.storage.memory import MemoryStorage
from kit.world import World
from media.info import MediaInfo
from tests import clips as table  # fills the table of recipes
from tests.clip_fragments import FRAGMENTED
from tests.clip_recipes import RECIPES
from tests.clips import Clips

NAMES = sorted(name for name, recipe in RECIPES.items() if recipe.suffix in {".mp4", ".mov"})
INDEXED = {  # of these the index alone is read; of the others there is none, or none that is relied on
    *("anamorphic", "audio-8k", "audio-96k", "audio-late", "audio-long", "audio-negative", "audio-short", "cover-first", "cover-last"),
    *("captions", "captions-digital", "captions-empty", "captions-hevc", "captions-late"),
    *(
        "dolby-vision-8.1",
        "dolby-vision-8.4",
        "edit-list",
        "fast-start",
        "half-second",
        "hdr10",
        "heavy",
        "hevc-10bit",
        "high10",
        "hlg",
        "interlaced",
        "long-gop",
        "looped",
        "mirrored",
    ),
    *(
        "mono",
        "no-audio",
        "odd-size",
        "one-frame",
        "open-gop",
        "open-gop-looped",
        "plain",
        "portrait",
        "prores",
        "rotated-180",
        "rotated-270",
        "rotated-90",
    ),
    *("small", "stamp", "surround", "sync", "tiny", "uhd", "vfr", "vfr-screen", "wide", "yuv422"),
    *(name for name in NAMES if name.startswith("rate-")),
    *("fragmented", "frag-source", *(FRAGMENTED.keys() - {"frag-hybrid"})),
}
assert table.SOURCES


class CountingStorage(MemoryStorage):
    """Counts the bytes that leave it."""

    sent = 0

    def stream(self, key: str, *, start: int = 0, end: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        for piece in super().stream(key, start=start, end=end, chunk_bytes=chunk_bytes):
            self.sent += len(piece)
            yield piece


def by_index(world: World, storage: MemoryStorage, path: Path) -> Indexed | None:
    storage.put(path.name, path)
    with opened(storage, path.name, path.stat().st_size, world.settings.scratch_dir) as copy:
        return probe_by_index(world, copy)


def told(world: World, path: Path) -> MediaInfo | tuple[str, str]:
    try:
        return probe(world, path)
    except Rejected as refused:
        return refused.code, refused.detail


@pytest.mark.parametrize("name", NAMES)
def test_the_index_says_what_the_packets_say(local_world: World, clips: Clips, name: str) -> None:
    storage = CountingStorage()
    try:
        indexed = by_index(local_world, storage, clips(name))
    except Rejected as refused:
        assert (refused.code, refused.detail) == told(local_world, clips(name))
        return
    assert (indexed is not None) == (name in INDEXED)
    if indexed is not None:
        # That there are captions is seen in bytes, which the packets do not show (tests/media/test_captions.py).
        assert replace(indexed.info, closed_captions=False) == told(local_world, clips(name))
        assert storage.sent <= 1.2 * size_of(indexed.source_map.header_ranges()) + 4096
        assert indexed.digest.startswith("index:")


def test_of_a_long_file_little_is_fetched(local_world: World, clips: Clips) -> None:
    storage = CountingStorage()
    indexed = by_index(local_world, storage, clips("looped"))
    assert indexed is not None
    wanted = indexed.source_map.header_ranges()
    assert size_of(wanted) < clips("looped").stat().st_size / 8
    assert storage.sent <= 1.2 * size_of(wanted)


def test_another_index_is_another_source(local_world: World, clips: Clips) -> None:
    names = ("plain", "fast-start", "rate-25", "rate-30")
    digests = [indexed.digest for name in names if (indexed := by_index(local_world, MemoryStorage(), clips(name))) is not None]
    assert len(set(digests)) == len(names)


def test_an_object_that_ends_early_is_read_whole(local_world: World, clips: Clips, tmp_path: Path) -> None:
    short = tmp_path / "fast-start.mp4"
    short.write_bytes(clips("fast-start").read_bytes()[:-5000])
    assert by_index(local_world, MemoryStorage(), short) is None


def test_limits_hold_without_a_scan(local_world: World, clips: Clips) -> None:
    small = replace(local_world, settings=replace(local_world.settings, max_duration_s=3))
    with pytest.raises(Rejected) as refused:
        by_index(small, MemoryStorage(), clips("plain"))
    assert refused.value.code == "too_long"
