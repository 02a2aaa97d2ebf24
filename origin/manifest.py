"""The DASH manifest as it is sent, joined from the pieces that the packager stored (`packager.dash`). Pure."""

from __future__ import annotations

from collections.abc import Mapping

_ORDER = ("head", "text", "thumbnails", "tail")


def joined(pieces: Mapping[str, str], *, thumbnails: bool) -> str:
    """The whole of it. `thumbnails`: whether the storyboard has been made, which is after everything else."""
    return "".join(pieces[name] for name in _ORDER if name != "thumbnails" or thumbnails)
