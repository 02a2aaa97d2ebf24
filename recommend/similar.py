"""Titles like a title: the cosine of their factors, among titles that enough viewers watched both of.

Cosine and not the dot product, which would name the blockbusters beside everything; and support, because two titles with one viewer each
are as alike as chance makes them. The support of a pair is the same in both directions, and no title is like itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommend import walk
from recommend.als import Matrix
from recommend.bundle import Offsets
from recommend.interactions import Codes, Floats

LEAST_SUPPORT = 5
LONGEST = 50


@dataclass(frozen=True, slots=True, eq=False)
class Similar:
    indptr: Offsets
    items: Codes
    scores: Floats
    support: Codes


def similar(values: Matrix, item_factors: Floats, *, least_support: int = LEAST_SUPPORT, longest: int = LONGEST) -> Similar:
    """For every title the best `longest` others with positive cosine."""
    seen = walk.positives(values)
    norms = np.maximum(np.linalg.norm(item_factors, axis=1, keepdims=True), 1e-12)
    unit = np.asarray(item_factors / norms, np.float32)
    lengths = np.zeros(seen.shape[1] + 1, np.int64)
    items, scores, support = [np.zeros(0, np.int32)], [np.zeros(0, np.float32)], [np.zeros(0, np.int32)]
    for start, block in walk.blocks(seen, 0.0):
        for row in range(block.shape[0]):
            place = slice(int(block.indptr[row]), int(block.indptr[row + 1]))
            enough = block.data[place] >= least_support
            where, both = block.indices[place][enough], block.data[place][enough]
            cosine = unit[where] @ unit[start + row]
            order = np.lexsort((where, -cosine))[:longest]
            order = order[cosine[order] > 0]
            lengths[start + row + 1] = len(order)
            items.append(where[order].astype(np.int32))
            scores.append(cosine[order])
            support.append(both[order].astype(np.int32))
    return Similar(np.cumsum(lengths), np.concatenate(items), np.concatenate(scores), np.concatenate(support))
