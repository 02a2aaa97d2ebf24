"""New titles by their words, a part of `python -m bench.recommend`: a tenth of the titles is hidden from training, and then ordered for
each viewer who watched any of them by the factors that their names, years and genres predict (`recommend.content`).

NDCG@20 over the hidden titles only, beside chance and beside popularity known in hindsight. The settings of the factors are chosen on a
share of the remaining rows, the ridge by titles that are left out of its fit; no hidden title has a part in either.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from recommend import als, content, dataset, loaders, metrics
from recommend.choice import Ask, choose
from recommend.interactions import Interactions
from recommend.validation import exclude, wanted_of
from recommend.weights import WeightSettings


def texts_of(titles: Path, tags: Path | None = None) -> dict[str, str]:
    """By title id, what `recommend.content` reads of it: from MovieLens' movies.csv (movieId,title,genres), its movies.dat
    (`id::title::genre|genre`) or RecBole's .item (item_id:token, movie_title:token_seq, release_year, genre:token_seq); viewers' tags
    (userId,movieId,tag,timestamp) go with it."""
    said: dict[str, set[str]] = {}
    for row in list(csv.reader(io.StringIO(loaders.read_bytes(tags).decode())))[1:] if tags else []:
        said.setdefault(row[1], set()).add(row[2].casefold())
    raw = loaders.read_bytes(titles)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # movies.dat
    rows = _rows(text)
    return {key: content.text_of(name, "", [*genres, *sorted(said.get(key, ()))]) for key, name, genres in rows}


def _rows(text: str) -> list[tuple[str, str, list[str]]]:
    """Id, name with its year, genres."""
    lines = text.splitlines()
    if "::" in lines[0]:
        return [(row[0], row[1], row[2].split("|")) for row in (line.split("::") for line in lines if line)]
    if "\t" not in lines[0]:
        return [(row[0], row[1], row[2].split("|")) for row in list(csv.reader(lines))[1:]]
    places = {column.split(":")[0]: place for place, column in enumerate(lines[0].split("\t"))}
    name, year, genre = places["movie_title"], places.get("release_year"), places.get("genre", places.get("class"))
    table = [line.split("\t") for line in lines[1:] if line]
    return [
        (row[places["item_id"]], row[name] + (f" ({row[year]})" if year is not None else ""), row[genre].split() if genre else [])
        for row in table
    ]


def words_worth(history: Interactions, texts: dict[str, str], *, seed: int = 1, factors: int = 64) -> dict[str, Any]:
    hidden = np.random.default_rng(seed).random(len(history.item_ids)) < 0.1
    shown = history.take(~hidden[history.items])
    choice = choose(shown, Ask("share", factors=factors, threads=1, model="als"))
    known = dataset.build(shown, WeightSettings())
    found = als.fit(known.values, choice.als, seed=1, threads=1)
    words = [texts.get(item, "") for item in history.item_ids]
    watched = known.popularity > 0
    learnt = content.fit([word for word, one in zip(words, watched, strict=True) if one], found.items[watched], known.popularity[watched])
    places = np.flatnonzero(hidden)
    predicted = content.predict(learnt, [words[place] for place in places])
    wanted = wanted_of(history.take(hidden[history.items]), known.values)[:, places].tocsr()
    asked = np.flatnonzero((np.diff(wanted.indptr) > 0) & (np.diff(known.values.indptr) > 0))
    held = wanted[asked]
    held.sort_indices()
    tables = {
        "words": found.viewers[asked] @ predicted.T, "random": np.random.default_rng(2).random((len(asked),
        len(places))).astype(np.float32), "popularity_in_hindsight": np.repeat(np.asarray(held.sum(axis=0), np.float32)[None],
        len(asked), axis=0),
    }  # fmt: skip
    count = np.diff(held.indptr).astype(np.int64)
    values = {}
    for name, scores in tables.items():
        lists = metrics.top(exclude(scores, known.values[asked][:, places]), held, 20)
        values[name] = round(float(metrics.ranked(metrics.Metric("ndcg", 20), metrics.hits_of(lists, held), count).mean()), 4)
    return {"hidden_titles": len(places), "viewers": len(asked), "ndcg@20": values, "als": choice.als.as_json()}
