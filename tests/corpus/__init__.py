"""Hostile and broken files, several hundred, made anew each time from the small clips of tests/clips.py and one seed.

A `Case` is a file: `name` says how it was made, `kind` to which family of attacks it belongs. The same seed gives the same bytes. What
the cases have in common is what must hold of every one of them, whatever it is (`tests.corpus.trial`): it ends, accepted or refused
with a documented code, within limits of CPU time and memory, and nothing else of the machine is touched.

    python -m tests.corpus --all          run all of them and print a table
    python -m tests.corpus --write DIR    write them as files, for other programs to be tried on
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

SEED = 20261122


@dataclass(frozen=True, slots=True)
class Case:
    """One file."""

    name: str
    kind: str
    suffix: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Seeds:
    """What cases are made of: clips by name, a file that must never be opened, and a port at which nobody may knock."""

    clip: Callable[[str], bytes]
    canary: Path
    port: int
    random: Random


CLIPS = {
    "plain": ".mp4",
    "fast-start": ".mp4",
    "fragmented": ".mp4",
    "prores": ".mov",
    "mkv": ".mkv",
    "webm": ".webm",
    "ts": ".ts",
    "mpeg-ps": ".mpg",
    "avi": ".avi",
    "flv": ".flv",
    "hevc-10bit": ".mp4",
    "av1": ".webm",
}
"""The good files that are damaged: one of each container, and of the larger codecs."""


def cases(seeds: Seeds) -> Iterator[Case]:
    """All of them, in an order that depends on nothing."""
    from tests.corpus import bombs, containers, damage, disguises, mp4

    for family in (damage.cases, mp4.cases, containers.cases, bombs.cases, disguises.cases):
        yield from family(seeds)


def sample(everything: Sequence[Case], size: int, random: Random) -> list[Case]:
    """So many cases, of every kind its share and at least three."""
    by_kind: dict[str, list[Case]] = {}
    for case in everything:
        by_kind.setdefault(case.kind, []).append(case)
    chosen: list[Case] = []
    for listed in by_kind.values():
        chosen += random.sample(listed, min(len(listed), max(3, round(size * len(listed) / len(everything)))))
    return chosen
