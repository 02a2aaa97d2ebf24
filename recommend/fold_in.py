"""A viewer's factor from what they watched, without training: the exact solution of their row of the model.

The row is that of `recommend.als`: with the titles' factors Y, values v and the unobserved weight a,

    (Y'Y + sum |v|/a y y' + r I) x  =  sum over v > 0 of (1 + v/a) y,      r = l (1 + a)/a (sum |v| + a I)

so the vector of a trained viewer and the one folded in from the same history are the same but for the last half step of training.
It changes nothing and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recommend.bundle import Bundle
from recommend.interactions import Floats


@dataclass(frozen=True, slots=True)
class AlsSettings:
    """Of the factor model. `regularization` l and `unobserved_weight` a are those of Rendle et al. (2021), "Revisiting the performance
    of iALS on item recommendation benchmarks": the regularization of a row grows with the number of its observations."""

    factors: int = 64
    regularization: float = 0.007
    unobserved_weight: float = 0.1
    epochs: int = 10
    by_count: bool = False  # the regularization grows with the number of wanted titles alone, as Spark's does (`recommend.spark`)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def scale(self) -> float:
        """Of one observation, in the scale of the kernel (unobserved weight 1)."""
        return self.regularization * (1.0 + self.unobserved_weight) / self.unobserved_weight

    def observed(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """What each value adds to what is known of its row and column."""
        return np.asarray(values > 0 if self.by_count else np.abs(values), np.float64)

    def row_regularization(self, observed: npt.NDArray[np.float64], others: int) -> npt.NDArray[np.float64]:
        """For rows with `observed` (the sum of it) out of `others` columns."""
        if self.by_count:
            return self.scale * np.maximum(observed, 1.0)  # a row without a wanted title is 0 in any case
        return self.scale * (observed + self.unobserved_weight * others)


def als_settings(bundle: Bundle) -> AlsSettings:
    return AlsSettings(**bundle.settings["als"])


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What all rows of a model have in common, taken apart once: Y'Y is `axes` times `sizes` times the transpose of `axes`."""

    settings: AlsSettings
    item_factors: Floats
    gram: Floats
    sizes: npt.NDArray[np.float64]
    axes: npt.NDArray[np.float64]


def ground_of(bundle: Bundle) -> Ground:
    sizes, axes = np.linalg.eigh(np.asarray(bundle.item_gram, np.float64))
    return Ground(als_settings(bundle), bundle.item_factors, bundle.item_gram, np.maximum(sizes, 0.0), axes)


def fold_in(bundle: Bundle, watched: Sequence[tuple[int, float]], *, ground: Ground | None = None) -> Floats:
    """The factor of someone who watched these titles (codes) with these values (`recommend.weights`). Without any, it is zero: ask
    `recommend.ranking`, which then goes by trending alone. `ground` is what `ground_of` made of the same bundle."""
    codes = np.fromiter((item for item, _ in watched), np.int64, len(watched))
    values = np.fromiter((value for _, value in watched), np.float64, len(watched))
    if ground is None or 2 * len(codes) > len(ground.sizes):
        return solve_row(bundle.item_factors, bundle.item_gram, codes, values, als_settings(bundle))
    return solve_few(ground, codes, values)


def solve_few(ground: Ground, codes: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> Floats:
    """The same solution by as many equations as titles were watched, which for fewer titles than factors is less work.

    With P = Y'Y + r I, rows R of Y, weights w = |v|/a and right sides c, (P + R' w R) x = R' c has the solution
    x = P^-1 R' s, where (1/w + R P^-1 R') s = c/w (Woodbury). P is inverted along its axes.
    """
    settings = ground.settings
    shrink = 1.0 / (ground.sizes + settings.row_regularization(settings.observed(values).sum(keepdims=True), len(ground.item_factors)))
    rows = np.asarray(ground.item_factors[codes], np.float64) @ ground.axes
    shrunk = rows * shrink
    system = shrunk @ rows.T
    share = settings.unobserved_weight / np.abs(values)
    system.ravel()[:: len(codes) + 1] += share
    found = np.linalg.solve(system, np.where(values > 0, 1.0 + share, 0.0))
    return np.asarray(ground.axes @ (found @ shrunk), np.float32)


def solve_row(
    item_factors: Floats, gram: Floats, codes: npt.NDArray[np.int64], values: npt.NDArray[np.float64], settings: AlsSettings
) -> Floats:
    """The same from parts of a model."""
    if not len(codes):
        return np.zeros(item_factors.shape[1], np.float32)
    rows = np.asarray(item_factors[codes], np.float64)
    weight = values / settings.unobserved_weight
    system = np.asarray(gram, np.float64) + (rows.T * np.abs(weight)) @ rows
    system[np.diag_indices_from(system)] += settings.row_regularization(settings.observed(values).sum(keepdims=True), len(item_factors))
    wanted = rows.T @ np.where(values > 0, 1.0 + weight, 0.0)
    found: Floats = np.linalg.solve(system, wanted).astype(np.float32)
    return found
