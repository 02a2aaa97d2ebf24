"""Small models for tests of serving, made from a table of who watched what without the trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from recommend.bundle import Bundle, encode_ids
from recommend.fold_in import AlsSettings
from recommend.ranking import Weights, prior
from recommend.weights import WeightSettings

F32 = np.float32
STEPS = (Weights(1, 0.6, 0.6, 0.2, 0.0), Weights(3, 1.0, 1.0, 0.1, 0.0))


def a_bundle(
    watched: Mapping[str, Sequence[str]],
    items: Sequence[str] = (),
    *,
    version: str = "m1",
    factors: int = 4,
    trained_at: datetime | None = None,
) -> Bundle:
    """A model of viewers and the titles that each of them watched whole."""
    item_ids = sorted({*items, *(item for row in watched.values() for item in row)})
    viewer_ids = sorted(watched)
    place = {item: number for number, item in enumerate(item_ids)}
    matrix = np.zeros((len(viewer_ids), len(item_ids)))
    for row, viewer in enumerate(viewer_ids):
        matrix[row, [place[item] for item in watched[viewer]]] = 1.0
    left, strength, right = np.linalg.svd(matrix, full_matrices=False)
    width = min(factors, len(strength))
    item_factors = (right[:width].T * np.sqrt(strength[:width])).astype(F32)
    both = matrix.T @ matrix
    np.fill_diagonal(both, 0.0)
    walk = both / np.maximum(both.sum(axis=1, keepdims=True), 1.0)
    norms = np.maximum(np.linalg.norm(matrix, axis=0), 1e-9)
    cosine = both / np.outer(norms, norms)
    histories = [[place[item] for item in watched[viewer]] for viewer in viewer_ids]
    walk_parts, similar_parts = _rows(walk), _rows(cosine)
    popularity = matrix.sum(axis=0).astype(F32)
    return Bundle(
        item_ids=encode_ids(item_ids), viewer_ids=encode_ids(viewer_ids), item_factors=item_factors,
        viewer_factors=(left[:, :width] * np.sqrt(strength[:width])).astype(F32), item_gram=(item_factors.T @ item_factors).astype(F32),
        walk_indptr=walk_parts[0], walk_items=walk_parts[1], walk_scores=walk_parts[2],
        similar_indptr=similar_parts[0], similar_items=similar_parts[1], similar_scores=similar_parts[2],
        similar_support=np.concatenate([both[row, codes] for row, codes in enumerate(_split(similar_parts))]).astype(np.int32),
        history_indptr=np.cumsum([0, *map(len, histories)]).astype(np.int64),
        history_items=np.array([item for row in histories for item in row], np.int32),
        history_weights=np.ones(sum(map(len, histories)), F32), popularity=popularity, trending=popularity,
        popularity_prior=prior(popularity), trending_prior=prior(popularity), content_map=np.zeros((0, 0), F32), version=version,
        facts={
            "settings": {
                "als": AlsSettings(width).as_json(), "blend": [step.as_json() for step in STEPS], "weights": WeightSettings().as_json(),
            },
            "metrics": {}, "trained_at": (trained_at or datetime.now(UTC)).isoformat(),
        },
    )  # fmt: skip


def _rows(scores: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compressed rows of what is above zero, the largest first."""
    codes = [np.lexsort((np.arange(len(row)), -row))[: int((row > 0).sum())] for row in scores]
    starts = np.cumsum([0, *map(len, codes)]).astype(np.int64)
    values = [scores[row][order] for row, order in enumerate(codes)]
    return starts, np.concatenate(codes).astype(np.int32), np.concatenate(values).astype(F32)


def _split(parts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[np.ndarray]:
    return np.split(parts[1], parts[0][1:-1])
