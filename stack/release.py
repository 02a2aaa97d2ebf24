"""Which release this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def our_version() -> str:
    """As installed; a source tree that is not installed has none."""
    try:
        return version("headwater")
    except PackageNotFoundError:
        return "(not installed)"
