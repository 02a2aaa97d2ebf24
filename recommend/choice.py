"""Settings chosen by the code itself, on folds inside the training history, with a bounded number of trials.

In order: the factor model's unobserved weight and regularization (a climb over a grid, few factors, few epochs); how fast values age,
where there is time; the walk's penalty, scale, breadth, fading start and exponent; how fast trending forgets; last the weights of the
blend, for histories of one or two titles, three or four, more, and many more. Whatever was tried is kept in `Choice.trials`, so that a
report can show it. The factors' settings and the weights of the blend are left where they start for what is better by more than chance
alone (`recommend.climb`), because there the trials are many, and what the best of them leads by may be luck.

Who has watched much has met what everybody knows, and has decided about it. So for long histories the weight of popularity may be below
0: with as much trending above it, that is how far a title has risen since.

Where nobody can be judged (a history of an hour, one viewer) the defaults hold and `chosen_on` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Literal

import numpy as np
from scipy import sparse

from recommend import als, walk
from recommend.als import Factors, Matrix
from recommend.climb import Place, climb, preferred, surpasses
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
_REGULARIZATION = (0.0003, 0.001, 0.003, 0.007, 0.015, 0.04, 0.1)
_SPARSE_WEIGHT, _DENSE_WEIGHT, _DENSE_FROM = 2, 4, 0.01  # places among the weights of the unseen, and the share of cells from where on
_USUAL, _MOST_USUAL = 40.0, 0.007  # regularization: of a mean viewer's row in the scale of the kernel, and of an observation at most
_HALF_LIVES_DAYS = (0.0, 30.0, 180.0)
_TRENDING_DAYS = (2.0, 4.0, 7.0, 14.0, 30.0, 90.0, 365.0)
_EXPONENTS = (1.0, 0.7, 0.45)
_PENALTIES = (0.3, 0.4, 0.5, 0.65, 0.8)
_SPARSE_PENALTIES = (0.0, 0.15, *_PENALTIES)
_NEIGHBOURS = (60, 200, 500)
_FADES = (30, 10, 4, 2)  # the first two are tried, and each of the others where the one before it is better than what was
_WALK_SHARES = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)
_PRIORS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_HELD_BACK = (-0.5, -0.25, -0.1)  # for long histories
_TRIAL_FACTORS, _TRIAL_EPOCHS, _BLEND_EPOCHS = 32, 5, 6
_TUNED_ON = 3  # folds, the newest, for the settings of the models; how trending forgets and the blend are chosen on all
_WALKERS = 300  # viewers by whom a walk is judged, where the data are dense
_CLOSE = 0.97  # of the factors' worth: below, the walk is not tuned any further
_SHORT = {1: 2, 3: 4}  # steps of the blend and the length of history that each is chosen with
_LONG = (30, 100, 300)  # steps of longer histories, each where other weights are better for them than the step below by more than chance
_LEAST_JUDGES = 20  # viewers with such a history
MOST_TRIALS, _DENSE_TRIALS = 14, 8  # of the factor model

Progress = Callable[[str, float], None]
ScoresOf = Callable[[slice], Floats]  # of some of the judged viewers, fresh
Asked = Literal["blend", "als", "rp3beta", "popularity"]
_FitWalks = Callable[[list[WalkSettings]], list[list[Matrix]]]


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
        return replace(search, cuts=cuts[-_TUNED_ON:]).alone(start)
    search = replace(search, cuts=cuts[-_TUNED_ON if ask.cut == "time" else -1 :])  # shares are much alike to a walk
    thinned = any(fold.thinned for fold in cuts)
    whole = search.whole(history) if thinned else replace(search, cuts=cuts)
    judges = max(len(fold.judged) for fold in cuts)
    climbed = replace(whole, cuts=[fold.fewer(judges) for fold in whole.cuts[-_TUNED_ON:]]).als_settings()
    weights = search.weight_settings(climbed) if ask.cut == "time" else start.weights
    if weights != start.weights:
        search, whole = search.weighed(weights), whole.weighed(weights)
    walked, fitted = search.walks(max(trial.value for trial in search.trials if trial.what == "als"))
    days = whole.trending_days() if ask.cut == "time" else start.trending_days
    others = whole.cuts if thinned else whole.cuts[: -len(search.cuts)]
    fitted = [*_walks_of(others, [walked])[0], *([] if thinned else fitted)]
    settings = replace(climbed, factors=ask.factors, epochs=ask.epochs)
    steps = whole.steps(settings, fitted, days, walked.fade)
    return Choice(
        settings, walked, weights, days, steps, "validation", sum(len(fold.judged) for fold in cuts), search.trials,
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
        """A climb: along the regularization, then along the unobserved weight, then along one against the other (the more the unseen
        counts, the less regularization a row needs)."""
        most = _DENSE_TRIALS if self.cuts[0].dense else MOST_TRIALS

        def values(place: Place) -> PerViewer:
            self.progress("Choosing settings", 0.7 * len(self.trials) / most)
            return self._als_trial(self._als_at(place))

        shape = (len(_UNOBSERVED), len(_REGULARIZATION))
        return self._als_at(climb(self._start(), shape, ((0, 1), (1, 0), (1, -1)), values, at_most=most))

    def _start(self) -> Place:
        """What the unseen weighs in published settings of data so dense, and a usual regularization: where there are very many titles,
        less of it for each observation (docs/decisions/0012-frequency-scaled.md)."""
        values = self.cuts[0].fit.values
        observed = np.full(1, values.nnz / max(1, values.shape[0]))
        weight = _DENSE_WEIGHT if values.nnz > _DENSE_FROM * values.shape[0] * values.shape[1] else _SPARSE_WEIGHT

        def off(place: int) -> float:
            return abs(float(np.log(self._als_at((weight, place)).row_regularization(observed, values.shape[1])[0] / _USUAL)))

        return weight, min(range(_REGULARIZATION.index(_MOST_USUAL) + 1), key=off)

    def _als_at(self, place: tuple[int, int]) -> AlsSettings:
        factors = _TRIAL_FACTORS if self.cuts[0].dense else 2 * _TRIAL_FACTORS
        return AlsSettings(factors, _REGULARIZATION[place[1]], _UNOBSERVED[place[0]], _TRIAL_EPOCHS, self.ask.by_count)

    def _als_trial(self, settings: AlsSettings) -> PerViewer:
        fitted = [als.fit(fold.fit.values, settings, seed=self.ask.seed, threads=self.ask.threads) for fold in self.cuts]
        scores = [partial(_of_factors, one, fold) for one, fold in zip(fitted, self.cuts, strict=True)]
        return self._values("als", settings.as_json(), scores)

    def weight_settings(self, settings: AlsSettings) -> WeightSettings:
        """How fast values age, if at all."""

        def values(weights: WeightSettings) -> PerViewer:
            return (self.weighed(weights) if weights.half_life_days else self)._als_trial(settings)

        never, *others = (WeightSettings(half_life_days=days) for days in _HALF_LIVES_DAYS)
        return preferred(never, others, cache(values))

    def walks(self, worth_of_factors: float) -> tuple[WalkSettings, list[Matrix]]:
        """The penalty, the scale and the breadth, how fast the start fades where there is an order in time, and the exponent; and the
        fitted walks of the best. Of dense data, where a trial costs most and the factors are strongest, one after the other, and the
        exponent only where the factors are not far better; of sparse data, more penalties and each with every exponent."""
        dense = self.cuts[0].dense
        judges = [fold.fewer(_WALKERS) if dense else fold for fold in self.cuts]
        histories = [fold.fit.by_time[fold.judged] for fold in judges]
        fit = partial(_walks_of, self.cuts)
        trial = partial(self._walk_trial, judges, histories)

        def tried(settings: WalkSettings, fitted: list[Matrix]) -> _Tried:
            return _Tried(trial(settings, fitted), settings, fitted)

        best = max((self._penalties(exponent, fit, tried, dense) for exponent in _EXPONENTS[: 1 if dense else None]), key=_worth)
        self.progress("Choosing settings", 0.8)
        narrow = [_narrowed(best, count) for count in _NEIGHBOURS[:-1]]
        best = max(best, *(tried(settings, fitted) for settings, fitted in narrow), key=_worth)
        for fade in _FADES if self.ask.cut in {"time", "last"} else ():
            faded = tried(replace(best.settings, fade=fade), best.fitted)
            if faded.worth <= best.worth and fade < _FADES[0]:
                break
            best = max(best, faded, key=_worth)
        for exponent in _EXPONENTS[1:] if dense and best.worth > _CLOSE * worth_of_factors else ():
            other = replace(best.settings, exponent=exponent)
            best = max(best, tried(other, fit([other])[0]), key=_worth)
        self.progress("Choosing settings", 0.9)
        return best.settings, best.fitted

    def _penalties(self, exponent: float, fit: _FitWalks, tried: Callable[[WalkSettings, list[Matrix]], _Tried], dense: bool) -> _Tried:
        """The best penalty with this exponent, and the better scale of rows with that."""
        several = [WalkSettings(exponent, penalty, _NEIGHBOURS[-1]) for penalty in (_PENALTIES if dense else _SPARSE_PENALTIES)]
        found = [tried(settings, fitted) for settings, fitted in zip(several, fit(several), strict=True)]
        best = max(found, key=_worth)
        even = tried(replace(best.settings, even=True), [walk.evened(one) for one in best.fitted])
        return max(best, even, key=_worth)

    def _walk_trial(self, judges: list[Fold], histories: list[Matrix], settings: WalkSettings, fitted: list[Matrix]) -> float:
        """Judged by these viewers, whose histories these are."""
        scores = [partial(_of_walk, one, begun(rows, settings.fade)) for one, rows in zip(fitted, histories, strict=True)]
        return self._judge("rp3beta", settings.as_json(), scores, judges)

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
        bounds = self.ask.limits
        limits = replace(bounds, dense_pairs_at_most=bounds.factor_pairs_at_most, viewers_at_most=bounds.sparse_viewers_at_most)
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
        """Weights of the blend, for short histories and for the rest, with as many factors as will be fitted: fewer would be
        worth less beside the walk."""
        settings = replace(settings, epochs=min(settings.epochs, _BLEND_EPOCHS))
        models = []
        for fold, walked in zip(self.cuts, walks, strict=True):
            factors = als.fit(fold.fit.values, settings, seed=self.ask.seed, threads=self.ask.threads)
            trending = fold.fit.trending(days)
            models.append(Model(settings, factors, walked, fold.fit.popularity, trending, fade=fade))
        self.progress("Choosing settings", 0.95)
        whole = [fold.fit.by_time[fold.judged] for fold in self.cuts]
        stored = [model.factors.viewers[fold.judged] for model, fold in zip(models, self.cuts, strict=True) if model.factors]
        tables = self._tables(models, whole, stored)
        usual = self._weights(_even(5 if self.ask.short else 1), tables)
        if not self.ask.short:
            return [usual]
        found = []
        for at_least, length in _SHORT.items():
            histories = [_last(rows, length) for rows in whole]
            factors_of = [folded(model, rows) for model, rows in zip(models, histories, strict=True)]
            found.append(self._weights(_even(at_least), self._tables(models, histories, factors_of)))
        return [self.cold_step(models), *found, usual, *self._long_steps(usual, tables, whole)]

    def _long_steps(self, usual: Weights, tables: list[Scores], histories: list[Matrix]) -> list[Weights]:
        """Weights for longer histories, where they are better for those than the step below by more than chance."""
        found = [usual]
        for at_least, below in zip(_LONG, (*_LONG[1:], np.inf), strict=True):
            counts = [np.diff(sparse.csr_array(rows > 0).indptr) for rows in histories]
            long = [np.flatnonzero((count >= at_least) & (count < below)) for count in counts]
            if sum(map(len, long)) < _LEAST_JUDGES:
                continue
            asked = replace(self, cuts=[fold.of(rows) for fold, rows in zip(self.cuts, long, strict=True)])
            theirs = [table.of(rows) for table, rows in zip(tables, long, strict=True)]
            other = asked._weights(replace(found[-1], at_least=at_least), theirs, free=True)
            if surpasses(asked._blended(other, theirs), asked._blended(found[-1], theirs)):
                found.append(other)
        return found[1:]

    def _tables(self, models: list[Model], histories: list[Matrix], factors: list[Floats]) -> list[Scores]:
        parts = frozenset({"als", "walk"})
        rows = zip(models, histories, factors, strict=True)
        return [part_scores(model, history, vectors, parts=parts) for model, history, vectors in rows]

    def _blended(self, weights: Weights, tables: list[Scores]) -> PerViewer:
        return self._values("blend", weights.as_json(), [partial(table.blended, weights) for table in tables])

    def _weights(self, start: Weights, tables: list[Scores], *, free: bool = False) -> Weights:
        """First how much walk against factors, then how much of what everybody watches; then, if that has changed anything, the same
        again. Every move is for what is better by more than chance, but what everybody watches replaces taste for the shortest
        histories already where it is better. With `free`, which is for a cut in time, the weight of popularity may be below 0."""
        values = cache(partial(self._blended, tables=tables))  # a turn comes back to where the one before it ended
        timed = self.ask.cut == "time"
        moves = [*([_with_trending] if timed else []), _with_popularity, *([_with_risen] if free else [])]
        best = start
        for turn in range(2):
            before = best
            best = preferred(best, (replace(best, als=1.0 - share, walk=share) for share in _WALK_SHARES), values)
            for move in moves if turn == 0 or _with_risen in moves else ():
                best = preferred(best, (move(best, weight) for weight in (*_PRIORS, *(_HELD_BACK if free else ()))), values)
            if (best.trending, best.popularity) == (before.trending, before.popularity):
                break
        for name in ("trending", "popularity") if timed else ("popularity",):
            alone = Weights(start.at_least, 0.0, 0.0, float(name == "trending"), float(name == "popularity"))
            worth = values(alone)
            if worth.mean() > values(best).mean() if start.at_least == 1 else surpasses(worth, values(best)):
                best = alone
        return best


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """Settings of a walk, what they are worth, and the walk of each fold."""

    worth: float
    settings: WalkSettings
    fitted: list[Matrix]


def _worth(tried: _Tried) -> float:
    return tried.worth


def _narrowed(tried: _Tried, count: int) -> tuple[WalkSettings, list[Matrix]]:
    settings, fewer = replace(tried.settings, neighbours=count), [walk.narrowed(one, count) for one in tried.fitted]
    return settings, [walk.evened(one) for one in fewer] if settings.even else fewer


def _walks_of(cuts: list[Fold], several: list[WalkSettings]) -> list[list[Matrix]]:
    """For each of the settings, which share an exponent, the walks of all folds, from the titles that their judges have watched."""
    found: list[list[Matrix]] = [[] for _ in several]
    for fold in cuts:
        rows, watched = fold.fit.by_time, np.zeros(len(fold.fit.item_ids), bool)
        watched[rows[fold.judged].indices] = True
        for walks, made in zip(found, walk.fit_many(rows, several, only=watched), strict=True):
            walks.append(made)
    return found


def _of_factors(found: Factors, fold: Fold, rows: slice) -> Floats:
    return np.asarray(found.viewers[fold.judged[rows]] @ found.items.T)


def _of_walk(found: Matrix, starts: Matrix, rows: slice) -> Floats:
    return np.asarray((starts[rows] @ found).toarray(), np.float32)


def _of_everybody(table: Floats, fold: Fold, rows: slice) -> Floats:
    return np.repeat(table[None], len(fold.judged[rows]), axis=0)


def _even(at_least: int) -> Weights:
    """Where a blend starts: the sum of both models of taste, in one scale."""
    return Weights(at_least, 0.5, 0.5, 0.0, 0.0)


def _with_trending(weights: Weights, value: float) -> Weights:
    return replace(weights, trending=value)


def _with_popularity(weights: Weights, value: float) -> Weights:
    return replace(weights, popularity=value)


def _with_risen(weights: Weights, value: float) -> Weights:
    """More of what is watched lately, less of what always was."""
    return replace(weights, trending=weights.trending + value, popularity=weights.popularity - value)


def _last(histories: Matrix, length: int) -> Matrix:
    """The newest entries of rows that are ordered by time."""
    rows = np.repeat(np.arange(histories.shape[0]), np.diff(histories.indptr))
    kept = histories.indptr[1:][rows] - np.arange(len(rows)) <= length
    return sparse.csr_array((histories.data[kept], (rows[kept], histories.indices[kept])), shape=histories.shape)
