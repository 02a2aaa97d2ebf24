"""History as a matrix: viewers by titles, one signed value for each pair, and when they last met.

A pure function of the rows and of the moment that counts as now; the order of the rows does not matter. The id lists are those of the rows
that were given, so what was cut away (`Interactions.before`) cannot be seen in them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommend.als import BadMatrix, Matrix
from recommend.interactions import Codes, Floats, Interactions, Times
from recommend.weights import Weighed, WeightSettings, decay, weigh


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    values: Matrix  # U x I, float32, columns of a row ascend
    last_at_s: Times  # of each stored value
    viewer_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    now_s: float

    @property
    def by_time(self) -> Matrix:
        """The same matrix with the titles of each row from the oldest to the newest (its column indices do not ascend). Of equally old
        ones the last column comes first, so that the newest first is the order of a bundle's history."""
        rows = np.repeat(np.arange(self.values.shape[0]), np.diff(self.values.indptr))
        back = np.arange(len(rows) - 1, -1, -1)
        order = back[np.lexsort((self.last_at_s[back], rows[back]))]
        return sparse.csr_array((self.values.data[order], self.values.indices[order], self.values.indptr), shape=self.values.shape)

    @property
    def popularity(self) -> Floats:
        """Distinct viewers of each title who wanted it."""
        return np.bincount(self.values.indices[self.values.data > 0], minlength=len(self.item_ids)).astype(np.float32)

    def trending(self, half_life_days: float) -> Floats:
        """The same, each viewer halved with the age of their last viewing: one profile that loops a video counts once."""
        wanted = self.values.data > 0
        shares = decay(self.last_at_s[wanted], self.now_s, half_life_days)
        return np.bincount(self.values.indices[wanted], shares, minlength=len(self.item_ids)).astype(np.float32)


def build(interactions: Interactions, settings: WeightSettings, *, now_s: float | None = None) -> Dataset:
    """The matrix of a history. Without `now_s`, now is the newest row."""
    moment = now_s if now_s is not None else float(interactions.at_s.max(initial=0.0))
    pairs = weigh(
        interactions.viewers, interactions.items, interactions.at_s, interactions.watched_fraction, interactions.signal,
        now_s=moment, settings=settings,
    )  # fmt: skip
    shape = (len(interactions.viewer_ids), len(interactions.item_ids))
    return Dataset(as_matrix(pairs, shape), pairs.last_at_s, interactions.viewer_ids, interactions.item_ids, moment)


def as_matrix(pairs: Weighed, shape: tuple[int, int]) -> Matrix:
    """Pairs, ascending and each once, as CSR. Raises BadMatrix for a code outside the shape, as a transposed one has."""
    if len(pairs) and (pairs.viewers.max() >= shape[0] or pairs.items.max() >= shape[1]):
        raise BadMatrix(f"A pair lies outside of {shape[0]} viewers and {shape[1]} titles.")
    indptr = np.r_[0, np.cumsum(np.bincount(pairs.viewers, minlength=shape[0]))].astype(np.int32)
    return sparse.csr_array((pairs.values, pairs.items.astype(np.int32), indptr), shape=shape)


def fingerprint(interactions: Interactions) -> str:
    """SHA-256 over the rows in a fixed order and the ids: equal for equal histories, however they were read."""
    order = np.lexsort((interactions.signal, interactions.items, interactions.viewers, interactions.at_s))
    digest = hashlib.sha256()
    columns: list[npt.NDArray[np.generic] | Codes] = [
        interactions.viewers, interactions.items, interactions.at_s, interactions.watched_fraction, interactions.signal,
    ]  # fmt: skip
    for column in columns:
        digest.update(np.ascontiguousarray(column[order]).tobytes())
    for ids in (interactions.viewer_ids, interactions.item_ids):
        digest.update("\0".join(ids).encode())
        digest.update(b"\1")
    return digest.hexdigest()
