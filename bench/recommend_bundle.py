"""A model of any size with random content, for measuring what answers cost."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from recommend.bundle import Bundle, encode_ids
from recommend.fold_in import AlsSettings
from recommend.ranking import Weights, prior
from recommend.walk import WalkSettings
from recommend.weights import WeightSettings


def random_bundle(titles: int, factors: int, *, neighbours: int = 200, seed: int = 1) -> Bundle:
    """No viewers; every title has neighbours. All parts of the blend have a weight, as in the dearest answer."""
    rng = np.random.default_rng(seed)
    vectors = (rng.standard_normal((titles, factors)) / np.sqrt(factors)).astype(np.float32)
    walk_items = rng.integers(0, titles, titles * neighbours).astype(np.int32)
    popularity = (1e4 * rng.random(titles) ** 6).astype(np.float32)
    steps = [Weights(0, 0.0, 0.0, 0.7, 0.3), Weights(1, 0.5, 0.5, 0.3, 0.1)]
    settings = {
        "als": AlsSettings(factors).as_json(), "walk": WalkSettings().as_json(), "weights": WeightSettings().as_json(),
        "trending_half_life_days": 7.0, "blend": [step.as_json() for step in steps],
    }  # fmt: skip
    none, empty = np.zeros(0, np.int32), np.zeros(0, np.float32)
    return Bundle(
        item_ids=encode_ids([f"t{number:07d}" for number in range(titles)]), viewer_ids=encode_ids([]), item_factors=vectors,
        viewer_factors=np.zeros((0, factors), np.float32), item_gram=vectors.T @ vectors,
        walk_indptr=np.arange(titles + 1, dtype=np.int64) * neighbours, walk_items=walk_items,
        walk_scores=rng.random(len(walk_items), np.float32), similar_indptr=np.zeros(titles + 1, np.int64), similar_items=none,
        similar_scores=empty, similar_support=none, history_indptr=np.zeros(1, np.int64), history_items=none, history_weights=empty,
        popularity=popularity, trending=popularity, popularity_prior=prior(popularity), trending_prior=prior(popularity),
        content_map=np.zeros((0, 0), np.float32), version="mdl_bench",
        facts={"settings": settings, "trained_at": datetime.now(UTC).isoformat()},
    )  # fmt: skip
