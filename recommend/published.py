"""The check that this evaluator measures what the papers measured: popularity needs no settings, so its figure is a fact of the data set.

A set is recognised by its protocol and size. Only sets whose popularity figure is published or was verified are listed; for any other the
result says that nothing is known. Source of the figure: Ferrari Dacrema et al. (2021), "A Troubling Analysis of Reproducibility and
Progress in Recommender Systems Research", appendix, MovieLens-1M and Pinterest in the NCF protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Known:
    name: str
    protocol: str
    users: int
    items: tuple[int, int]  # from, to: files differ in whether they count titles that nobody watched
    figures: Mapping[str, float]
    within: float


KNOWN = (
    Known("MovieLens-1M, NCF files", "leave-one-out", 6_040, (3_700, 3_710), {"hr@10": 0.4533, "ndcg@10": 0.2542}, 0.002),
    Known("Pinterest, NCF files", "leave-one-out", 55_187, (9_900, 9_920), {"hr@10": 0.2740, "ndcg@10": 0.1409}, 0.002),
)  # fmt: skip


def self_check(
    protocol: str, shape: tuple[int, int, int], popularity: Mapping[str, float], one_draw: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """`shape` is users, titles and training rows. `agrees` is None where nothing is published for such a set or such metrics.

    The published figures are those of the one draw of negatives that its authors gave away. Figures that are means over all draws are
    held against them within two standard deviations of one draw (`one_draw`) more.
    """
    luck = one_draw or {}
    users, items, _ = shape
    for known in KNOWN:
        if (known.protocol, known.users) == (protocol, users) and known.items[0] <= items <= known.items[1]:
            shared = {name: figure for name, figure in known.figures.items() if name in popularity}
            near = (abs(popularity[name] - figure) <= known.within + 2 * luck.get(name, 0.0) for name, figure in shared.items())
            agrees = all(near) if shared else None
            return {"set": known.name, "published_popularity": shared, "agrees": agrees}
    return {"set": None, "published_popularity": {}, "agrees": None}
