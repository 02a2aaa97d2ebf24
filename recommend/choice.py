"""Settings chosen by the code itself, on folds inside the training history, with a bounded number of trials.

In order: the factor model's unobserved weight and regularization (a climb over a grid, few factors, few epochs); how fast values age,
where there is time; the walk's penalty, breadth, fading start and exponent; how fast trending forgets; last the weights of the blend, for
histories of one or two titles, three or four, and more. Whatever was tried is kept in `Choice.trials`, so that a report can show it.

Where nobody can be judged (a history of an hour, one viewer) the defaults hold and `chosen_on` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from scipy import sparse

from recommend import als, walk
from recommend.als import Factors, Matrix
from recommend.fold_in import AlsSettings
from recommend.interactions import Floats, Interactions
from recommend.metrics import PerViewer
from recommend.model import Model, Scores, begun, folded, only, part_scores
from recommend.ranking import Weights, prior
from recommend.threads import single_blas
from recommend.validation import Bounds, Cut, Fold, cold_values, folds, judged_values
from recommend.walk import WalkSettings
from recommend.weights import WeightSettings

_UNOBSERVED = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_REGULARIZATION = (0.001, 0.003, 0.007, 0.015, 0.04, 0.1)
_HALF_LIVES_DAYS = (0.0, 30.0, 180.0)
_TRENDING_DAYS = (2.0, 4.0, 7.0, 14.0, 30.0, 90.0, 365.0)
_EXPONENTS = (1.0, 0.7, 1.3)
_PENALTIES = (0.5, 0.3, 0.4, 0.65, 0.8)
_NEIGHBOURS = (60, 200, 500)
_FADES = (30, 10, 4, 2)  # each of which is tried only while the one before it is better than none
_WALK_SHARES = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)
_PRIORS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_TRIAL_FACTORS, _TRIAL_EPOCHS, _BLEND_FACTORS = 32, 5, 128
_WALKERS = 300  # viewers by whom a walk is judged
_CLOSE = 0.97  # of the factors' worth: below, the walk is not tuned any further
_SHORT = {1: 2, 3: 4}  # steps of the blend and the length of history that each is chosen with
MOST_TRIALS = 11  # of the factor model

Progress = Callable[[str, float], None]
ScoresOf = Callable[[slice], Floats]  # of some of the judged viewers, fresh
Asked = Literal["blend", "als", "rp3beta", "popularity"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be chosen, and how. `short` asks for weights of short histories too; `limits` bound the cost."""

    cut: Cut
    factors: int = 128
    epochs: int = 10
    seed: int = 1
    threads: int = 0
    short: bool = True
    model: Asked = "blend"
    by_count: bool = False  # of the factor model (`AlsSettings.by_count`)
    limits: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, slots=True)
class Trial:
    what: str
    settings: dict[str, Any]
    value: float


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen. `chosen_on` is "validation" or "defaults"."""

    als: AlsSettings
    walk: WalkSettings
    weights: WeightSettings
    trending_days: float
    steps: list[Weights]
    chosen_on: str
    viewers: int = 0  # judged
    trials: list[Trial] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "als": self.als.as_json(), "walk": self.walk.as_json(), "weights": self.weights.as_json(),
            "trending_half_life_days": self.trending_days, "blend": [step.as_json() for step in self.steps],
        }  # fmt: skip


def defaults(ask: Ask) -> Choice:
    """For a history that is too short to choose from. Sparse data: more walk than factors, and trending helps."""
    timed = ask.cut == "time"
    prior = {"trending": 0.5, "popularity": 0.0} if timed else {"trending": 0.0, "popularity": 0.1}
    steps = [Weights(1, als=0.3, walk=0.7, **prior)]
    chosen = steps if ask.model == "blend" else only(ask.model)
    return Choice(
        AlsSettings(ask.factors, epochs=ask.epochs, by_count=ask.by_count), WalkSettings(), WeightSettings(), 7.0, chosen, "defaults"
    )


def choose(history: Interactions, ask: Ask, *, progress: Progress = lambda _what, _share: None) -> Choice:
    """The best of what was tried. `history` must end where training ends: nothing of a test may be in it."""
    start = defaults(ask)
    cuts = folds(history, ask.cut, start.weights, seed=ask.seed, bounds=ask.limits)
    if not cuts or sum(len(fold.judged) for fold in cuts) < 5:
        return start
    with single_blas():
        return _chosen(_Search(ask, cuts, progress, []), start, history)


def _chosen(search: _Search, start: Choice, history: Interactions) -> Choice:
    ask, cuts = search.ask, search.cuts
    if ask.model != "blend":
        return search.alone(start)
    whole = search.whole(history) if any(fold.thinned for fold in cuts) else search
    settings = whole.als_settings()
    weights = search.weight_settings(settings) if ask.cut == "time" else start.weights
    if weights != start.weights:
        search, whole = search.weighed(weights), whole.weighed(weights)
    walked, fitted = search.walks(max(trial.value for trial in search.trials if trial.what == "als"))
    days = search.trending_days() if ask.cut == "time" else start.trending_days
    if any(fold.thinned for fold in cuts):
        fitted = [walk.fit(fold.fit.by_time, walked) for fold in whole.cuts]
    steps = whole.steps(settings, fitted, days, walked.fade)
    return Choice(
        replace(settings, factors=ask.factors, epochs=ask.epochs), walked, weights, days, steps, "validation",
        sum(len(fold.judged) for fold in cuts), search.trials,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    ask: Ask
    cuts: list[Fold]
    progress: Progress
    trials: list[Trial]

    def alone(self, start: Choice) -> Choice:
        """Settings of one model that is to answer by itself."""
        chosen = replace(start, chosen_on="validation", viewers=sum(len(fold.judged) for fold in self.cuts), trials=self.trials)
        if self.ask.model == "als":
            settings = replace(self.als_settings(), factors=self.ask.factors, epochs=self.ask.epochs)
            return replace(chosen, als=settings, steps=only("als"))
        if self.ask.model == "rp3beta":
            return replace(chosen, walk=self.walks(0.0)[0], steps=only("rp3beta"))
        return replace(chosen, chosen_on="nothing to choose", steps=only("popularity"))

    def _values(self, what: str, settings: dict[str, Any], scores: Sequence[ScoresOf], cuts: list[Fold] | None = None) -> PerViewer:
        pairs = zip(scores, cuts or self.cuts, strict=True)
        values = np.concatenate([judged_values(table(rows), part, self.ask.cut) for table, fold in pairs for rows, part in fold.parts()])
        self.trials.append(Trial(what, settings, float(values.mean())))
        return values

    def _judge(
        self, what: str, settings: dict[str, Any], scores: Sequence[ScoresOf], cuts: list[Fold] | None = None, cold: Sequence[Floats] = ()
    ) -> float:
        values = [self._values(what, settings, scores, cuts), *(cold_values(row, fold) for row, fold in zip(cold, self.cuts, strict=False))]
        return float(np.concatenate(values).mean())

    def als_settings(self) -> AlsSettings:
        """A climb: along the unobserved weight, then along the regularization, until no neighbour is better."""
        tried: dict[tuple[int, int], float] = {}

        def value(place: tuple[int, int]) -> float:
            inside = 0 <= place[0] < len(_UNOBSERVED) and 0 <= place[1] < len(_REGULARIZATION)
            if place not in tried and inside and len(tried) < MOST_TRIALS:
                tried[place] = self._als_trial(self._als_at(place))
                self.progress("Choosing settings", 0.7 * len(tried) / MOST_TRIALS)
            return tried.get(place, -1.0)

        values = self.cuts[0].fit.values
        density = values.nnz / max(1, values.shape[0] * values.shape[1])
        best = (4 if density > 0.01 else 2, 2)
        moved = True
        while moved:
            moved = False
            for axis in ((1, 0), (0, 1)):
                for sign in (1, -1):
                    while value(best) < value(step := (best[0] + sign * axis[0], best[1] + sign * axis[1])):
                        best, moved = step, True
        return self._als_at(best)

    def _als_at(self, place: tuple[int, int]) -> AlsSettings:
        return AlsSettings(_TRIAL_FACTORS, _REGULARIZATION[place[1]], _UNOBSERVED[place[0]], _TRIAL_EPOCHS, self.ask.by_count)

    def _als_trial(self, settings: AlsSettings) -> float:
        fitted = [als.fit(fold.fit.values, settings, seed=self.ask.seed, threads=self.ask.threads) for fold in self.cuts]
        scores = [partial(_of_factors, one, fold) for one, fold in zip(fitted, self.cuts, strict=True)]
        return self._judge("als", settings.as_json(), scores)

    def weight_settings(self, settings: AlsSettings) -> WeightSettings:
        """How fast values age."""
        found = []
        for days in _HALF_LIVES_DAYS:
            weights = WeightSettings(half_life_days=days)
            again = self.weighed(weights) if days else self
            found.append((again._als_trial(settings), weights))
        return max(found, key=lambda pair: pair[0])[1]

    def walks(self, worth_of_factors: float) -> tuple[WalkSettings, list[Matrix]]:
        """The penalty and the breadth with the usual exponent, how fast the start fades where there is an order in time, and then, unless
        the factors are far better, the exponent; and the fitted walks of the best."""
        by_time = [fold.fit.by_time for fold in self.cuts]
        trial = partial(self._walk_trial, [rows[fold.fewer(_WALKERS).judged] for rows, fold in zip(by_time, self.cuts, strict=True)])
        first = [WalkSettings(_EXPONENTS[0], penalty, _NEIGHBOURS[-1]) for penalty in _PENALTIES]
        wide = [walk.fit_many(rows, first) for rows in by_time]
        penalty = max(range(len(first)), key=lambda place: trial(first[place], [made[place] for made in wide]))
        tried = []
        for count in _NEIGHBOURS:
            settings, fitted = replace(first[penalty], neighbours=count), [walk.narrowed(made[penalty], count) for made in wide]
            tried.append((trial(settings, fitted), settings, fitted))
        worth, best, fitted = max(tried, key=lambda one: one[0])
        for fade in _FADES if self.ask.cut in {"time", "last"} else ():
            found = trial(faded := replace(best, fade=fade), fitted)
            if found <= worth:
                break
            worth, best = found, faded
        self.progress("Choosing settings", 0.8)
        for exponent in _EXPONENTS[1:] if worth > _CLOSE * worth_of_factors else ():
            other = replace(best, exponent=exponent)
            again = [walk.fit(rows, other) for rows in by_time]
            found = trial(other, again)
            worth, best, fitted = (found, other, again) if found > worth else (worth, best, fitted)
        self.progress("Choosing settings", 0.9)
        return best, fitted

    def _walk_trial(self, histories: list[Matrix], settings: WalkSettings, fitted: list[Matrix]) -> float:
        """Judged by some of the viewers, whose histories these are: a broad walk from long ones costs more than fitting it."""
        scores = [partial(_of_walk, one, begun(rows, settings.fade)) for one, rows in zip(fitted, histories, strict=True)]
        return self._judge("rp3beta", settings.as_json(), scores, [fold.fewer(_WALKERS) for fold in self.cuts])

    def trending_days(self) -> float:
        """How fast trending forgets, judged by viewers with and without history."""
        values = []
        for days in _TRENDING_DAYS:
            scores = [fold.fit.trending(days) for fold in self.cuts]
            warm = [partial(_of_everybody, table, fold) for table, fold in zip(scores, self.cuts, strict=True)]
            values.append(self._judge("trending", {"half_life_days": days}, warm, cold=scores))
        return _TRENDING_DAYS[int(np.argmax(values))]

    def whole(self, history: Interactions) -> _Search:
        """The same search in folds that keep more viewers. Settings of the walk can be told from some of the viewers, but the more
        there are, the better the factors become, alone and beside the walk, so theirs and how the two blend cannot."""
        limits = replace(self.ask.limits, dense_pairs_at_most=self.ask.limits.factor_pairs_at_most)
        return replace(self, cuts=folds(history, self.ask.cut, WeightSettings(), seed=self.ask.seed, bounds=limits))

    def weighed(self, weights: WeightSettings) -> _Search:
        """The same search in folds with other weights."""
        return replace(self, cuts=[fold.weighed(weights) for fold in self.cuts])

    def cold_step(self, models: list[Model]) -> Weights:
        """What viewers without history get: trending and popularity together."""
        pairs = [(1.0, 0.0), (0.8, 0.2), (0.5, 0.5), (0.2, 0.8), (0.0, 1.0)]
        values = []
        for trending, popularity in pairs:
            scores = [prior(one.trending) * np.float32(trending) + prior(one.popularity) * np.float32(popularity) for one in models]
            found = [cold_values(table, fold) for table, fold in zip(scores, self.cuts, strict=True)]
            values.append(float(np.concatenate(found).mean()) if sum(map(len, found)) else 0.0)
            self.trials.append(Trial("cold", {"trending": trending, "popularity": popularity}, values[-1]))
        best = pairs[int(np.argmax(values))]
        return Weights(0, 0.0, 0.0, *best)

    def steps(self, settings: AlsSettings, walks: list[Matrix], days: float, fade: int) -> list[Weights]:
        """Weights of the blend, for short histories and for the rest."""
        settings = replace(settings, factors=min(self.ask.factors, _BLEND_FACTORS), epochs=6)
        models = []
        for fold, walked in zip(self.cuts, walks, strict=True):
            factors = als.fit(fold.fit.values, settings, seed=self.ask.seed, threads=self.ask.threads)
            trending = fold.fit.trending(days)
            models.append(Model(settings, factors, walked, fold.fit.popularity, trending, fade=fade))
        self.progress("Choosing settings", 0.95)
        whole = [fold.fit.by_time[fold.judged] for fold in self.cuts]
        stored = [model.factors.viewers[fold.judged] for model, fold in zip(models, self.cuts, strict=True) if model.factors]
        usual = self._weights(5 if self.ask.short else 1, self._tables(models, whole, stored))
        if not self.ask.short:
            return [usual]
        found = []
        for at_least, length in _SHORT.items():
            histories = [_last(rows, length) for rows in whole]
            factors_of = [folded(model, rows) for model, rows in zip(models, histories, strict=True)]
            found.append(self._weights(at_least, self._tables(models, histories, factors_of)))
        return [self.cold_step(models), *found, usual]

    def _tables(self, models: list[Model], histories: list[Matrix], factors: list[Floats]) -> list[Scores]:
        parts = frozenset({"als", "walk"})
        rows = zip(models, histories, factors, strict=True)
        return [part_scores(model, history, vectors, parts=parts) for model, history, vectors in rows]

    def _weights(self, at_least: int, tables: list[Scores]) -> Weights:
        """First how much walk against factors, then how much of what everybody watches; then the first again. What everybody watches
        replaces taste only where it is better by more than chance, except for the shortest histories."""

        def values(weights: Weights) -> PerViewer:
            return self._values("blend", weights.as_json(), [partial(table.blended, weights) for table in tables])

        def value(weights: Weights) -> float:
            return float(values(weights).mean())

        names = ("trending", "popularity") if self.ask.cut == "time" else ("popularity",)
        best = Weights(at_least, 0.5, 0.5, 0.0, 0.0)
        for turn in range(2):
            shares = [replace(best, als=1.0 - share, walk=share) for share in _WALK_SHARES]
            best = max(shares, key=value) if turn == 0 or best.trending or best.popularity else best
            for name in names if turn == 0 else ():
                best = max((_with(best, name, weight) for weight in _PRIORS), key=value)
        mine = values(best)
        for name in names:
            alone = Weights(at_least, 0.0, 0.0, float(name == "trending"), float(name == "popularity"))
            ahead = values(alone) - mine
            if ahead.mean() > (0.0 if at_least == 1 else ahead.std() / np.sqrt(len(ahead))):
                best, mine = alone, mine + ahead
        return best


def _of_factors(found: Factors, fold: Fold, rows: slice) -> Floats:
    return np.asarray(found.viewers[fold.judged[rows]] @ found.items.T)


def _of_walk(found: Matrix, starts: Matrix, rows: slice) -> Floats:
    return np.asarray((starts[rows] @ found).toarray(), np.float32)


def _of_everybody(table: Floats, fold: Fold, rows: slice) -> Floats:
    return np.repeat(table[None], len(fold.judged[rows]), axis=0)


def _with(weights: Weights, name: str, value: float) -> Weights:
    return replace(weights, trending=value) if name == "trending" else replace(weights, popularity=value)


def _last(histories: Matrix, length: int) -> Matrix:
    """The newest entries of rows that are ordered by time."""
    rows = np.repeat(np.arange(histories.shape[0]), np.diff(histories.indptr))
    kept = histories.indptr[1:][rows] - np.arange(len(rows)) <= length
    return sparse.csr_array((histories.data[kept], (rows[kept], histories.indices[kept])), shape=histories.shape)
