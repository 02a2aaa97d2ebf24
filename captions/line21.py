"""What becomes of the captions of line 21 that a source carries: cues for each channel, or a sentence on why there are none. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from captions import cc_data, cea608, extract
from captions.cc_data import Carried
from captions.reading import put_in_order, shortened
from media import closed_captions
from media.cues import Cue, Problem
from media.info import MediaInfo

DIGITAL = "The captions inside the pictures are there in digital form (CEA-708) only, which cannot be read here. Upload them as a file."
DAMAGED = "The captions (EIA-608) are damaged beyond reading. Upload them as a file."
FAILED = "The captions inside the pictures (EIA-608) could not be taken out. Upload them as a file."

Cues = tuple[tuple[Cue, ...], tuple[Problem, ...]]


@dataclass(frozen=True, slots=True)
class Captions:
    """The cues of each channel that has any, on the title's clock. `detail`: why there are none; empty when there is nothing to tell."""

    channels: Mapping[str, Cues]
    detail: str = ""


def read(paths: tuple[Path, Path], constructs: Callable[[bytes], Iterator[bytes]], origin: Fraction, duration: Fraction) -> Captions:
    """From what FFmpeg copied (`extract.copied_paths`). Times are seconds: where the title begins in the source, and how long it lasts."""
    listing, data = paths
    if not listing.exists() or not data.exists():
        return Captions({})
    with listing.open(encoding="utf-8", errors="replace") as lines, data.open("rb") as packets:
        carried = cc_data.read(lines, packets, constructs, origin)
    return captions_of(carried, round(duration * 1000))


def read_hidden(info: MediaInfo, folder: Path, origin: Fraction, duration: Fraction) -> Captions:
    """What `extract.hidden_command` left: what the pictures carry, or else what lies beside them."""
    assert info.video is not None
    found = Captions({})
    if info.video.codec in closed_captions.UNITS:
        constructs = cc_data.of_pictures(info.video.codec)
        found = read(extract.copied_paths(folder, info.video.index), constructs, origin, duration)
    if not found.channels and info.ancillary is not None:
        beside = read(extract.copied_paths(folder, info.ancillary), cc_data.of_track, origin, duration)
        found = beside if beside.channels or not found.detail else found
    return found


def captions_of(carried: Carried, end_ms: int) -> Captions:
    found, decoder = cea608.decode(carried.pairs, end_ms)
    channels: dict[str, Cues] = {}
    for name, raw in found.items():
        cues, problems = put_in_order(raw, shift_ms=0, ordered=False)
        if cues:
            channels[name] = cues, shortened(problems)
    if channels:
        return Captions(channels)
    if decoder.damaged > decoder.read:
        return Captions({}, DAMAGED)
    return Captions({}, DIGITAL if carried.digital else "")


def as_one(captions: Captions) -> Cues:
    """Of a track that is to be one: its first channel, and a word about the others."""
    name, *others = captions.channels
    cues, problems = captions.channels[name]
    if others:
        problems = (*problems, Problem(0, f"The track also carries {', '.join(others)}; {name} was taken."))
    return cues, problems
