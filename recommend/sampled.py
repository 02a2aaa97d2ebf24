"""One title among sampled candidates, in expectation: the leave-one-out protocol without the luck of one draw of its negatives.

The protocol ranks the title that a viewer watched last among 99 that they have not met, which somebody drew once and published. Where that
file is not at hand nothing has to be drawn either: of the n titles that a viewer has not met, let a score at least as high as the one to
be found. How many of those a are among 99 drawn without replacement is hypergeometric, so the chance of each place is exact, and so is the
mean of every metric over all draws. `drawn` makes one draw all the same, for who wants to see how far draws are apart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recommend.als import Matrix
from recommend.interactions import Floats
from recommend.metrics import PerViewer

NEGATIVES = 99  # He et al. (2017), "Neural Collaborative Filtering", section 4.1


def counted(scores: Floats, wanted: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each row of scores and its wanted column: how many others score at least as high, and how many others there are. What is no
    candidate scores minus infinity; where that is so of the wanted title itself, every other one is ahead."""
    own = scores[np.arange(len(scores)), wanted]
    others = np.isfinite(scores).sum(axis=1) - np.isfinite(own)
    ahead = ((scores >= own[:, None]) & np.isfinite(scores)).sum(axis=1) - np.isfinite(own)
    return ahead.astype(np.int64), others.astype(np.int64)


def chances(ahead: npt.NDArray[np.int64], others: npt.NDArray[np.int64], k: int, *, negatives: int = NEGATIVES) -> PerViewer:
    """Rows x k: how probable it is that exactly 0, 1, … k-1 of the drawn negatives are ahead. Of fewer others than `negatives`, all
    are drawn."""
    drawn = np.minimum(negatives, others)[:, None]
    places = np.arange(k)[None]
    total, front = others[:, None], ahead[:, None]
    possible = (places <= front) & (places <= drawn) & (drawn - places <= total - front)
    logs = np.r_[0.0, np.cumsum(np.log(np.arange(1, max(1, int(others.max(initial=0))) + 1)))]

    def combinations(of: npt.NDArray[np.int64], some: npt.NDArray[np.int64]) -> PerViewer:
        """Logarithm of "of over some"; of what is not possible, anything."""
        most = np.maximum(of, 0)
        few = np.clip(some, 0, most)
        return np.asarray(logs[most] - logs[few] - logs[most - few], np.float64)

    exponent = combinations(front, places) + combinations(total - front, drawn - places) - combinations(total, drawn)
    return np.where(possible, np.exp(exponent), 0.0)


def drawn(histories: Matrix, wanted: npt.NDArray[np.intp], *, seed: int, negatives: int = NEGATIVES) -> dict[int, npt.NDArray[np.int64]]:
    """One draw: for each row, titles that are neither in its history nor the wanted one, each once."""
    rng = np.random.default_rng(seed)
    found = {}
    for row, title in enumerate(wanted):
        free = np.ones(histories.shape[1], bool)
        free[histories.indices[histories.indptr[row] : histories.indptr[row + 1]]] = False
        free[title] = False
        pool = np.flatnonzero(free)
        found[row] = rng.choice(pool, min(negatives, len(pool)), replace=False).astype(np.int64)
    return found
