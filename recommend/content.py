"""From the words of a title to a predicted factor, so that a title nobody has watched can be ranked beside the others.

Words of title, description and tags, and pairs of tags, are hashed into a fixed number of columns; a ridge regression from these columns to
the factors of watched titles, weighted by how many watched, is the map. A text encoder would know that "sea" and "ocean" are near; this
knows what the catalogue's own words have to do with who watches what, needs no download, and is learnt in seconds. As viewers arrive,
`shrunk` goes over to what they say.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommend.als import Matrix
from recommend.interactions import Floats

COLUMNS = 16_384
MOST_PAIRED = 16  # tags of a title whose pairs are looked at: "comedy" and "war" together are neither
RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0)  # from few words that say much to many that say little
WORTH_VIEWERS = 30.0  # viewers whose say weighs as much as the words'
_STEPS = 40  # of conjugate gradients
_JUDGED = 5_000  # titles by which the ridge is chosen; fewer than _WORTH_CHOOSING choose nothing
_WORTH_CHOOSING, _USUAL = 100, 3.0
_WORD = re.compile(r"\w+")


def text_of(title: str, description: str, tags: Sequence[str]) -> str:
    """What is read of a title. Tags count as whole words that differ from the same words in a sentence."""
    marked = " ".join("tag_" + re.sub(r"\W+", "_", tag.casefold()) for tag in tags)
    return f"{title} {marked} {description}"


def features(texts: Sequence[str], columns: int = COLUMNS) -> Matrix:
    """Texts by hashed words: 1 for each word and each pair of tags. Rows are not brought to one length: what a genre says of a title is no
    less for its long name."""
    rows: list[int] = []
    places: list[int] = []
    for row, text in enumerate(texts):
        found = sorted({zlib.crc32(word.encode()) % columns for word in _words(text)})
        rows += [row] * len(found)
        places += found
    values = np.ones(len(rows), np.float32)
    return sparse.csr_array((values, (np.array(rows, np.int32), np.array(places, np.int32))), shape=(len(texts), columns))


def _words(text: str) -> set[str]:
    found = set(_WORD.findall(text.casefold()))
    tags = sorted(word for word in found if word.startswith("tag_"))[:MOST_PAIRED]
    return found | {f"{one} {other}" for place, one in enumerate(tags) for other in tags[place + 1 :]}


def fit(texts: Sequence[str], factors: Floats, viewers: Floats) -> Floats:
    """The map, columns by factors: minimises the weighted squared error plus a ridge. The ridge is the one with which titles that were
    left out are foretold best, because it depends on how much the catalogue writes about its titles."""
    weight = np.sqrt(viewers / (viewers + WORTH_VIEWERS)).astype(np.float32)
    words = sparse.csr_array(sparse.diags_array(weight) @ features(texts))
    aimed = factors * weight[:, None]
    return _solved(words, aimed, _best_ridge(words, aimed))


def _best_ridge(words: Matrix, aimed: Floats) -> float:
    """By the squared error of every fifth title, after learning from the others."""
    if words.shape[0] < _WORTH_CHOOSING:
        return _USUAL
    some = np.unique(np.linspace(0, words.shape[0] - 1, min(words.shape[0], _JUDGED)).astype(np.intp))
    left_out = np.arange(len(some)) % 5 == 0
    known, unknown = some[~left_out], some[left_out]

    def error(ridge: float) -> float:
        missed = words[unknown] @ _solved(sparse.csr_array(words[known]), aimed[known], ridge) - aimed[unknown]
        return float(np.square(missed, dtype=np.float64).sum())

    return min(RIDGES, key=error)


def _solved(words: Matrix, aimed: Floats, ridge: float) -> Floats:
    """The ridge regression by conjugate gradients, for all factors at once."""
    wanted = np.asarray(words.T @ aimed, np.float64)
    found = np.zeros_like(wanted)
    rest, step = wanted.copy(), wanted.copy()
    size = np.einsum("ij,ij->j", rest, rest)
    for _ in range(_STEPS):
        image = np.asarray(words.T @ (words @ step), np.float64) + ridge * step
        along = size / np.maximum(np.einsum("ij,ij->j", step, image), 1e-30)
        found += along * step
        rest -= along * image
        fresh = np.einsum("ij,ij->j", rest, rest)
        step = rest + fresh / np.maximum(size, 1e-30) * step
        size = fresh
    return found.astype(np.float32)


def predict(content_map: Floats, texts: Sequence[str]) -> Floats:
    """Factors that these texts speak for, texts by factors; the map of a model that was trained without texts gives 0 columns."""
    if not content_map.size:
        return np.zeros((len(texts), 0), np.float32)
    return np.asarray(features(texts, len(content_map)) @ content_map, np.float32)


def shrunk(observed: Floats, predicted: Floats, viewers: npt.NDArray[np.float32]) -> Floats:
    """Between the words' prediction and what viewers say, by how many viewers there are: (n v + 30 p) / (n + 30)."""
    share = (viewers / (viewers + WORTH_VIEWERS)).astype(np.float32)[:, None]
    return np.asarray(share * observed + (1.0 - share) * predicted, np.float32)
