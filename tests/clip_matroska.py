"""Clips in Matroska and WebM whose index, or clock, is of one kind or another."""

from __future__ import annotations

from tests.clip_recipes import Workshop, recipe


def _copy(shop: Workshop, name: str, *options: str) -> None:
    """The same pictures and sound in Matroska. `bitexact` leaves out the muxer's random numbers."""
    shop.ffmpeg("-i", str(shop.of(name)), "-c", "copy", *options, "-fflags", "+bitexact", str(shop.out))


@recipe("mkv-late", ".mkv")
def _late(shop: Workshop) -> None:
    """A clock that starts at 5 s, as that of a recording cut out of a longer one."""
    _copy(shop, "mkv", "-output_ts_offset", "5")


@recipe("mkv-heavy", ".mkv")
def _heavy(shop: Workshop) -> None:
    """Many megabytes whose cues come last, as they do in nearly every Matroska file."""
    _copy(shop, "heavy")


@recipe("mkv-cues-first", ".mkv")
def _cues_first(shop: Workshop) -> None:
    """The same with its cues first."""
    _copy(shop, "heavy", "-cues_to_front", "1")


@recipe("mkv-no-cues", ".mkv")
def _no_cues(shop: Workshop) -> None:
    """Written as to a pipe, by a program that cannot go back: no length, no cues."""
    _copy(shop, "plain", "-live", "1")
