"""Viewing history as columns: what the lake and the file loaders produce, and what everything that learns reads.

One row is one thing that one viewer did with one title at one moment: watched a part of it, finished it, gave it up, liked or
disliked it. Ids are coded: `viewers[k]` is a place in `viewer_ids`. Both id lists ascend, so a code means the same for every reader of the
same ids and finding one is a binary search. Rows are in no order.

It does not aggregate, weigh or clean: `recommend.dataset` does that. It holds no clock: the newest row says when the history ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from kit.errors import BadRequest

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Times = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class BadInteractions(BadRequest):
    """The columns contradict each other or hold what is not a number."""

    code = "bad_interactions"


class Signal(IntEnum):
    """What a row says, as stored in the `signal` column."""

    WATCHED = 0  # `watched_fraction` says how much
    COMPLETED = 1
    ABANDONED = 2  # given up within two minutes and a tenth of the title
    LIKED = 3
    DISLIKED = 4  # a low rating, or "not interested"


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Equally long columns and two ascending lists of distinct ids. `at_s` counts seconds since 1970 UTC; `watched_fraction` lies in
    0..1 and is NaN where nobody measured it (a bare "user item" file), which counts as a whole view."""

    viewers: Codes
    items: Codes
    at_s: Times
    watched_fraction: Floats
    signal: npt.NDArray[np.int8]
    viewer_ids: tuple[str, ...]
    item_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.viewers)

    def take(self, rows: Mask | npt.NDArray[np.intp]) -> Interactions:
        """Some of the rows, with the id lists as they are."""
        columns = {name: getattr(self, name)[rows] for name in ("viewers", "items", "at_s", "watched_fraction", "signal")}
        return replace(self, **columns)

    def before(self, cut_s: float) -> Interactions:
        """What was known at `cut_s`: rows earlier than it, and only the ids that these name. Nothing later leaks, not even an id."""
        return self.take(self.at_s < cut_s).compact()

    def compact(self) -> Interactions:
        """Without ids that no row names."""
        viewers, viewer_ids = _used(self.viewers, self.viewer_ids)
        items, item_ids = _used(self.items, self.item_ids)
        return replace(self, viewers=viewers, items=items, viewer_ids=viewer_ids, item_ids=item_ids)

    def without_viewers(self, ids: Sequence[str]) -> Interactions:
        """As if these viewers had never been here."""
        gone = np.isin(np.asarray(self.viewer_ids, dtype=object), np.asarray(list(ids), dtype=object))
        return self.take(~gone[self.viewers]).compact() if len(self) else self


def _used(codes: Codes, ids: tuple[str, ...]) -> tuple[Codes, tuple[str, ...]]:
    present = np.zeros(len(ids), dtype=bool)
    present[codes] = True
    if present.all():
        return codes, ids
    places = (np.cumsum(present) - 1).astype(np.int32)
    return places[codes], tuple(ids[place] for place in np.flatnonzero(present))


def _ascending(codes: npt.ArrayLike, ids: Sequence[str], what: str) -> tuple[Codes, tuple[str, ...]]:
    wide = np.asarray(codes)
    if wide.size and (wide.min() < 0 or wide.max() >= len(ids)):
        raise BadInteractions(f"A {what} code lies outside the list of {len(ids)} ids.")
    if len(set(ids)) != len(ids):
        raise BadInteractions(f"The list of {what} ids names one twice.")
    order = sorted(range(len(ids)), key=ids.__getitem__)
    places = np.empty(len(ids), dtype=np.int32)
    places[order] = np.arange(len(ids), dtype=np.int32)
    return (places[wide] if wide.size else np.zeros(0, np.int32)), tuple(ids[place] for place in order)


def from_codes(
    viewers: npt.ArrayLike,
    items: npt.ArrayLike,
    at_s: npt.ArrayLike,
    viewer_ids: Sequence[str],
    item_ids: Sequence[str],
    *,
    watched_fraction: npt.ArrayLike | None = None,
    signal: npt.ArrayLike | None = None,
) -> Interactions:
    """Interactions from coded columns (a dictionary encoding, as DuckDB and Arrow make it). The ids may be in any order.

    Fractions outside 0..1 are clamped. Raises BadInteractions for columns of different lengths, codes without an id, an id listed
    twice, and times that are not finite.
    """
    count = len(np.asarray(viewers))
    fractions = np.full(count, np.nan, np.float32) if watched_fraction is None else np.asarray(watched_fraction, np.float32)
    signals = np.zeros(count, np.int8) if signal is None else np.asarray(signal, np.int8)
    times = np.asarray(at_s, np.float64)
    if not (len(np.asarray(items)) == len(times) == len(fractions) == len(signals) == count):
        raise BadInteractions("The columns are not equally long.")
    if not np.isfinite(times).all():
        raise BadInteractions("A time is not a number.")
    if count and (signals.min() < 0 or signals.max() > max(Signal)):
        raise BadInteractions("A signal is none of those that exist.")
    viewer_codes, viewer_list = _ascending(viewers, viewer_ids, "viewer")
    item_codes, item_list = _ascending(items, item_ids, "title")
    return Interactions(viewer_codes, item_codes, times, np.clip(fractions, 0.0, 1.0), signals, viewer_list, item_list)


def from_rows(rows: Sequence[tuple[str, str, float]], **columns: Any) -> Interactions:
    """Interactions from (viewer, title, seconds since 1970) rows; further columns as in `from_codes`."""
    viewers, viewer_ids = _code([row[0] for row in rows])
    items, item_ids = _code([row[1] for row in rows])
    return from_codes(viewers, items, [row[2] for row in rows], viewer_ids, item_ids, **columns)


def _code(values: Sequence[str]) -> tuple[list[int], list[str]]:
    places: dict[str, int] = {}
    return [places.setdefault(value, len(places)) for value in values], list(places)
