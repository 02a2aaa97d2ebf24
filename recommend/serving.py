"""Answers for viewers: the home page, suggestions, and titles like another. The effects are here: history in, impressions out.

What a viewer did a minute ago counts, because each answer folds the history of now into the model (`recommend.ranked`); so does
what became of a title, because everything that is about to be shown is looked up once more. Where the model is missing, broken,
older than a month or slow, the same pages are made of what is watched and what is new, and a metric says why: an answer is never an
error for want of a model.

A model's factors say nothing of whose they are used for; whatever a viewer is shown follows from their own history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from kit.ids import random_id
from kit.log import logger
from kit.world import World
from recommend import measures, store
from recommend.ranked import Ranked, history_of, promising, rank
from recommend.rows import Answer, Home, Reason, Row, Source, Suggestion, assemble, explored, impressions_of, row_length, variant_of
from recommend.shelf import Model, Shelf, Shelves, words_of
from recommend.store import Shown
from recommend.threads import single_blas
from recommend.viewing import Seen, resume_at_s

SEED_AGE_S, SEED_SHARE, SEEDS = 30 * 86_400.0, 0.7, 3  # of "because you watched"
LEAST_SUPPORT = 5  # viewers who watched both, before the model may call two titles alike
EXPLORE_PLACE = 5  # of the top picks: a title that few know yet
LEAST_SHARE = 0.25  # of a title's rarest words: one common word in both names says nothing
_EXPLORE_POOL, _TAG_ROWS, _CANDIDATES = 8, 3, 40
_SLOW_S, _REST_S = 0.25, 30.0
_BROKEN = (ValueError, IndexError, KeyError, ArithmeticError, np.linalg.LinAlgError)

_log = logger(__name__)


class Recommender:
    """One for a process. Any thread may ask."""

    def __init__(self, world: World, shelves: Shelves | None = None) -> None:
        self._world = world
        self.shelves = shelves or Shelves(world)
        self._resting_until_s = -1.0
        self._one_thread = single_blas()  # for the whole process, from here on: answers are made side by side

    # -- what is asked for

    def home(self, viewer_id: str, request_id: str = "") -> Home:
        """The page of a viewer, and its impressions in the log."""
        shelf, request_id = self.shelves.now(), request_id or random_id()
        with self._world.db.begin() as conn:
            view = _View(self, shelf, viewer_id, store.seen_by(conn, viewer_id))
            ranked = view.ranked(_CANDIDATES)
            wanted = list(view.rows(ranked))
            fresh = {title.asset_id: title for title in store.titles(conn, _ids(wanted))}
            rows = assemble([replace(row, items=_still_there(row.items, fresh)) for row in wanted], row_length(len(shelf.titles)))
            source: Source = "model" if ranked is not None else "trending" if shelf.hot else "new"
            version = view.model.bundle.version if view.model is not None and ranked is not None else ""
            store.log_impressions(conn, Shown(request_id, viewer_id, view.variant, version), impressions_of(rows))
        measures.ANSWERS.labels("home", source).inc()
        return Home(viewer_id, request_id, version, view.variant, source, rows)

    def preview(self, viewer_id: str) -> tuple[Row, ...]:
        """The rows of a viewer's page without showing them to anybody: nothing is logged."""
        shelf = self.shelves.now()
        with self._world.db.connect() as conn:
            view = _View(self, shelf, viewer_id, store.seen_by(conn, viewer_id))
            wanted = list(view.rows(view.ranked(_CANDIDATES)))
            fresh = {title.asset_id: title for title in store.titles(conn, _ids(wanted))}
        return assemble([replace(row, items=_still_there(row.items, fresh)) for row in wanted], row_length(len(shelf.titles)))

    def recommendations(self, viewer_id: str, limit: int, request_id: str = "") -> Answer:
        """One list, the best first."""
        shelf = self.shelves.now()
        with self._world.db.begin() as conn:
            view = _View(self, shelf, viewer_id, store.seen_by(conn, viewer_id))
            ranked = view.ranked(limit + 10)
            items = view.picks(ranked) if ranked is not None else view.without_model()
            fresh = {title.asset_id: title for title in store.titles(conn, [item.title.asset_id for item in items[: limit + 10]])}
            shown = _still_there(items[: limit + 10], fresh)[:limit]
            source: Source = "model" if ranked is not None else "trending" if shelf.hot else "new"
            version = view.model.bundle.version if view.model is not None and ranked is not None else ""
            log = impressions_of([Row("recommendations", "", shown)])
            store.log_impressions(conn, Shown(request_id or random_id(), viewer_id, view.variant, version), log)
        measures.ANSWERS.labels("recommendations", source).inc()
        return Answer(shown, version, source)

    def similar(self, asset_id: str, limit: int, viewer_id: str | None = None) -> Answer | None:
        """Titles like one; for a viewer without what they finished or do not want. None when there is no such title."""
        shelf = self.shelves.now()
        with self._world.db.connect() as conn:
            of = store.titles(conn, [asset_id])
            if not of and asset_id not in store.facts_of_assets(conn, [asset_id]):
                return None
            seen = store.seen_by(conn, viewer_id) if viewer_id else []
            view = _View(self, shelf, viewer_id or "", seen)
            found = view.alike(of[0] if of else None, asset_id, limit + 10)
            fresh = {title.asset_id: title for title in store.titles(conn, [item.title.asset_id for item in found])}
        by_model = any(item.reason.kind == "similar" for item in found)
        source: Source = "model" if by_model else "trending"
        measures.ANSWERS.labels("similar", source).inc()
        return Answer(_still_there(found, fresh)[:limit], view.model.bundle.version if view.model and by_model else "", source)

    # -- the model, or why not

    def model_for(self, shelf: Shelf, variant: str) -> Model | None:
        """The model to answer from; None, with the reason in a metric, when there is none to be used."""
        reason = shelf.trouble
        if not reason and self._world.clock.monotonic_s() < self._resting_until_s:
            reason = "slow"
        if reason:
            measures.DEGRADED.labels(reason).inc()
            return None
        return shelf.models.get(variant) or shelf.models.get("a")

    def variant_of(self, viewer_id: str) -> str:
        settings = self._world.settings
        return variant_of(viewer_id, settings.model_b, settings.model_b_share)

    def rank(self, model: Model, seen: Sequence[Seen], left_out: Sequence[str], limit: int) -> list[Ranked] | None:
        """None, with the reason in a metric, when the model cannot be used after all."""
        began_s = self._world.clock.monotonic_s()
        try:
            ranked = rank(model, history_of(model, seen, self.now_s()), left_out, limit)
        except _BROKEN as error:
            measures.DEGRADED.labels("failed").inc()
            _log.bug("ranking broke", error, version=model.bundle.version)
            return None
        took_s = self._world.clock.monotonic_s() - began_s
        measures.RANK_SECONDS.observe(took_s)
        if took_s > _SLOW_S:  # this answer is made; the next ones go without until the machine has its breath back
            self._resting_until_s = self._world.clock.monotonic_s() + _REST_S
        return ranked

    def now_s(self) -> float:
        return self._world.clock.now().timestamp()


def _ids(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(item.title.asset_id for row in rows for item in row.items))


def _still_there(items: Sequence[Suggestion], fresh: dict[str, store.Title]) -> tuple[Suggestion, ...]:
    """With the titles as they are this moment, without those that are not to be watched any more."""
    there = ((item, fresh.get(item.title.asset_id)) for item in items)
    return tuple(item if now == item.title else replace(item, title=now) for item, now in there if now is not None)


class _View:
    """One answer being made: a shelf and one viewer's history. Reads nothing; decides everything but the filters of the last moment."""

    def __init__(self, recommender: Recommender, shelf: Shelf, viewer_id: str, seen: Sequence[Seen]) -> None:
        self._recommender, self._shelf, self._viewer_id, self._seen = recommender, shelf, viewer_id, seen
        self.variant = recommender.variant_of(viewer_id)
        self.model = recommender.model_for(shelf, self.variant)
        self._now_s = recommender.now_s()
        self._resumed = [title for title in seen if resume_at_s(title) is not None and title.asset_id in shelf.titles]
        unwanted = (title for title in seen if title.not_interested or title.completed or (title.rating or 0) < 0)
        self._hidden = frozenset(title.asset_id for title in unwanted)
        self._left_out = self._hidden | {title.asset_id for title in self._resumed}

    def ranked(self, limit: int) -> list[Ranked] | None:
        """By the model; None without one, or when it knows nothing of this viewer."""
        if self.model is None or not any(title.asset_id in self.model.codes for title in self._seen):
            return None
        return self._recommender.rank(self.model, self._seen, sorted(self._left_out), limit)

    def rows(self, ranked: list[Ranked] | None) -> Iterator[Row]:
        """All rows that could be shown, in their order, each longer than it will be."""
        yield Row("continue_watching", "Continue watching", tuple(self._continue()))
        if ranked is not None:
            yield Row("top_picks", "Top picks for you", tuple(self._with_exploration(self.picks(ranked))))
        for seed in self._seeds():
            title = self._shelf.titles[seed.asset_id]
            found = self.alike(title, seed.asset_id, _CANDIDATES // 2, because=True)
            yield Row(f"because:{seed.asset_id}", f"Because you watched {title.title or 'it'}", tuple(found))
        yield Row("trending", "Trending now", tuple(self._trending()))
        tags = self._tags()
        yield from (self._tag_row(tag) for tag in tags[:1])
        yield Row("new", "New", tuple(self._new()))
        yield from (self._tag_row(tag) for tag in tags[1:])

    def _tag_row(self, tag: str) -> Row:
        reason = Reason("tag", f"Tagged “{tag}”")
        found = self._suggest(self._shelf.by_tag[tag][: 2 * _CANDIDATES], reason)
        return Row(f"tag:{tag}", tag[:1].upper() + tag[1:], tuple(found))

    def _suggest(self, asset_ids: Sequence[str], reason: Reason) -> list[Suggestion]:
        shown = (asset_id for asset_id in asset_ids if asset_id not in self._left_out and asset_id in self._shelf.titles)
        return [Suggestion(self._shelf.titles[one], self._shelf.heat.get(one, 0.0), reason) for one in shown][:_CANDIDATES]

    def _continue(self) -> Iterator[Suggestion]:
        for title in self._resumed:
            reason = Reason("continue", "You have not finished this", title.asset_id)
            yield Suggestion(self._shelf.titles[title.asset_id], 0.0, reason, position_s=resume_at_s(title))

    def _trending(self) -> list[Suggestion]:
        return self._suggest(self._shelf.hot[: 2 * _CANDIDATES + len(self._left_out)], Reason("trending", "Watched a lot now"))

    def _new(self) -> list[Suggestion]:
        return self._suggest(self._shelf.newest[: _CANDIDATES + len(self._left_out)], Reason("new", "New here"))

    def without_model(self) -> list[Suggestion]:
        """One list of what is watched, then what is new."""
        hot = self._trending()
        known = {item.title.asset_id for item in hot}
        return hot + [item for item in self._new() if item.title.asset_id not in known]

    def picks(self, ranked: Sequence[Ranked]) -> list[Suggestion]:
        return [
            Suggestion(self._shelf.titles[one.asset_id], one.score, self._reason(one))
            for one in ranked
            if one.asset_id in self._shelf.titles
        ]

    def _reason(self, one: Ranked) -> Reason:
        title = self._shelf.titles.get(one.because) if one.because else None
        if title is None:
            return Reason("popular", "Others with your history watch this")
        return Reason("because_you_watched", f"Because you watched {title.title or 'something like it'}", title.asset_id)

    def _with_exploration(self, picks: list[Suggestion]) -> list[Suggestion]:
        """One place of the row is for a title too new for the model: of those whose words fit best, one is drawn anew every day."""
        assert self.model is not None
        shown = {item.title.asset_id for item in picks[:_CANDIDATES]} | self._left_out
        history = history_of(self.model, self._seen, self._now_s)
        little_known = promising(self.model, history, sorted(shown), _EXPLORE_POOL)
        drawn = explored(self._viewer_id, str(int(self._now_s // 86_400)), little_known)
        if drawn is None or len(picks) < EXPLORE_PLACE:
            return picks
        reason = Reason("explore", "New, and few have seen it")
        slot = Suggestion(self._shelf.titles[drawn[0]], picks[EXPLORE_PLACE - 1].score, reason, propensity=drawn[1])
        return [*picks[:EXPLORE_PLACE], slot, *picks[EXPLORE_PLACE:]]

    def _seeds(self) -> list[Seen]:
        """Titles that rows can be named after: watched for the most part, lately, and still to be seen."""
        fitting = (
            title for title in self._seen
            if (title.completed or title.fraction >= SEED_SHARE) and title.last_at_s > self._now_s - SEED_AGE_S
            and title.asset_id in self._shelf.titles and not title.not_interested and (title.rating or 0) >= 0
        )  # fmt: skip
        return list(fitting)[:SEEDS]

    def _tags(self) -> list[str]:
        """The tags this viewer watches most, else those of what is watched most; only tags that make a row."""
        counts: dict[str, float] = {}
        liked = [title for title in self._seen if title.fraction >= 0.3 or title.completed or (title.rating or 0) > 0]
        known = [self._shelf.titles[title.asset_id] for title in liked if title.asset_id in self._shelf.titles]
        source = known or [self._shelf.titles[one] for one in (self._shelf.hot or self._shelf.newest)[:200]]
        for title in source:
            for tag in title.tags:
                counts[tag] = counts.get(tag, 0.0) + 1.0
        usable = [tag for tag in counts if len(self._shelf.by_tag.get(tag, ())) >= 2]
        return sorted(usable, key=lambda tag: (-counts[tag], tag))[:_TAG_ROWS]

    def alike(self, title: store.Title | None, asset_id: str, limit: int, *, because: bool = False) -> list[Suggestion]:
        """Titles like one: by who watches both where enough do, then by words they share."""
        found: dict[str, Suggestion] = {}
        named = title.title if title is not None and title.title else "this"
        told = Reason("because_you_watched", f"Because you watched {named}", asset_id)
        if self.model is not None and asset_id in self.model.codes:
            codes, scores, support = self.model.bundle.similar(self.model.codes[asset_id])
            by_viewers = told if because else Reason("similar", f"Watched by those who watch {named}", asset_id)
            for code, score, both in zip(codes, scores, support, strict=True):
                other = self.model.ids[int(code)]
                if both >= LEAST_SUPPORT and score > 0 and other in self._shelf.titles and other not in self._left_out:
                    found.setdefault(other, Suggestion(self._shelf.titles[other], float(score), by_viewers))
        if title is not None:
            by_words = told if because else Reason("tag", f"Has much in common with {named}", asset_id)
            for other, share in _by_words(self._shelf, title):
                if other not in self._left_out:
                    found.setdefault(other, Suggestion(self._shelf.titles[other], share / 10, by_words))
        found.pop(asset_id, None)
        return sorted(found.values(), key=lambda item: (-item.score, item.title.asset_id))[:limit]


def _by_words(shelf: Shelf, title: store.Title) -> list[tuple[str, float]]:
    """Titles that share tags or words with one, by the rarity of what they share; 1 is all of it."""
    weights = {word: 1.0 / len(shelf.by_word[word]) ** 0.5 for word in words_of(title) if word in shelf.by_word}
    shares: dict[str, float] = {}
    for word, weight in weights.items():
        for other in shelf.by_word[word][:200]:
            shares[other] = shares.get(other, 0.0) + weight
    whole = sum(weights.values()) or 1.0
    enough = [other for other in shares if shares[other] >= LEAST_SHARE * whole]
    order = sorted(enough, key=lambda other: (-shares[other], -shelf.heat.get(other, 0.0), other))[:_CANDIDATES]
    return [(other, shares[other] / whole) for other in order]
