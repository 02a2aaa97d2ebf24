"""Small made-up viewing histories for the recommender's tests."""

from __future__ import annotations

import numpy as np

from recommend.interactions import Interactions, from_codes

DAY_S = 86_400.0
START_S = 1_700_000_000.0


def tasted(*, viewers: int = 120, items: int = 80, each: int = 14, tastes: int = 4, seed: int = 3, faithful: float = 0.9) -> Interactions:
    """Viewers of a few tastes, each with titles of their own in which some are more popular, over a hundred days."""
    rng = np.random.default_rng(seed)
    group = np.arange(items) % tastes
    appeal = 1.0 / (1.0 + np.arange(items) // tastes)
    rows: list[tuple[int, int]] = []
    for viewer in range(viewers):
        likes = np.where(group == viewer % tastes, faithful, (1 - faithful) / (tastes - 1)) * appeal
        rows += [(viewer, int(item)) for item in rng.choice(items, each, replace=False, p=likes / likes.sum())]
    picked = np.array(rows)
    at_s = START_S + rng.random(len(rows)) * 100 * DAY_S
    ids = [f"viewer-{number:03d}" for number in range(viewers)]
    return from_codes(picked[:, 0], picked[:, 1], at_s, ids, [f"item-{number:03d}" for number in range(items)])


def taste_of(name: str, tastes: int = 4) -> int:
    """The taste of a viewer or the group of a title."""
    return int(name.rsplit("-", 1)[1]) % tastes


def settled(*, old: int = 80, new: int = 80, regulars: int = 40, newcomers: int = 160, seed: int = 4) -> Interactions:
    """Of a hundred days: newcomers watch a few of the old titles, which everybody knows, whenever they come. Regulars watch most of the
    old ones at the beginning, and from then on half of the new ones, within some days after each came."""
    rng = np.random.default_rng(seed)
    appeal = 1.0 / (1.0 + np.arange(old))
    rows: list[tuple[int, int, float]] = []
    for viewer in range(regulars):
        rows += [(viewer, int(item), float(rng.random() * 20)) for item in rng.choice(old, 50, replace=False)]
        rows += [(viewer, old + item, 20 + 80 * item / new + rng.exponential(8.0)) for item in range(new) if rng.random() < 0.5]
    for viewer in range(regulars, regulars + newcomers):
        came = rng.random() * 99
        rows += [(viewer, int(item), came + float(rng.random())) for item in rng.choice(old, 12, replace=False, p=appeal / appeal.sum())]
    viewers, items, days = (np.array(column) for column in zip(*rows, strict=True))
    ids = [f"viewer-{number:03d}" for number in range(regulars + newcomers)]
    return from_codes(viewers, items, START_S + days * DAY_S, ids, [f"item-{number:03d}" for number in range(old + new)])
