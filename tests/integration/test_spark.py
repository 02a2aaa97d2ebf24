"""The Spark engine against the local trainer, on a real Spark of two threads, and `headwater train --engine spark` on a live Headwater."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kit.world import World
from recommend import als, bundle, dataset, fold_in, spark
from recommend.als import Factors, Matrix
from recommend.fold_in import AlsSettings
from recommend.weights import WeightSettings
from tests import spark_session
from tests.histories import tasted
from tests.integration.test_learn import headwater

SETTINGS = AlsSettings(factors=4, regularization=0.02, unobserved_weight=0.3, epochs=12, by_count=True)


@pytest.fixture
def fit(tmp_path: Path) -> Iterator[spark.SparkFit]:
    spark_session.need()
    with spark.opened(tmp_path, "local[2]") as found:
        yield found


def a_matrix() -> Matrix:
    """Weights of every size, and some below 0."""
    values = dataset.build(tasted(viewers=150, items=100, each=20), WeightSettings(half_life_days=40.0)).values
    rng = np.random.default_rng(4)
    values.data *= np.where(rng.random(values.nnz) < 0.1, np.float32(-1.5), np.float32(1.0))
    return values


def top_20(found: Factors, values: Matrix) -> list[set[int]]:
    scores = found.viewers @ found.items.T
    scores[np.repeat(np.arange(values.shape[0]), np.diff(values.indptr)), values.indices] = -np.inf
    return [set(row) for row in np.argsort(-scores, axis=1)[:, :20].tolist()]


def test_spark_and_the_local_trainer_agree(fit: spark.SparkFit) -> None:
    """Pitfall 23. Factors of two trainers may be turned against each other, so lists and scores are compared. Pitfall 24 for this
    engine: a trained viewer and the same one folded in are equal, and who wanted nothing is nowhere."""
    values = a_matrix()
    values.data[: int(values.indptr[1])] = -1.5
    ours, theirs = als.fit(values, SETTINGS, seed=1), fit(values, SETTINGS, seed=1)
    overlap = np.mean([len(one & other) / 20 for one, other in zip(top_20(ours, values), top_20(theirs, values), strict=True)])
    assert overlap >= 0.8
    one, other = ours.viewers[1:] @ ours.items.T, theirs.viewers[1:] @ theirs.items.T
    assert np.linalg.norm(one - other) <= 0.05 * np.linalg.norm(one)
    assert not theirs.viewers[0].any()
    for viewer in range(1, 20):
        row = slice(int(values.indptr[viewer]), int(values.indptr[viewer + 1]))
        codes, worth = values.indices[row].astype(np.int64), values.data[row].astype(np.float64)
        exact = fold_in.solve_row(theirs.items, theirs.gram, codes, worth, SETTINGS)
        np.testing.assert_allclose(theirs.viewers[viewer], exact, atol=1e-3 * np.abs(exact).max())


def test_the_command(world: World, tmp_path: Path) -> None:
    """A model of Spark is published as any other is, and says nothing beside its result."""
    spark_session.need()
    history = tasted(viewers=30, items=20, each=6)
    rows = zip(history.viewers, history.items, history.at_s, strict=True)
    (tmp_path / "ratings.tsv").write_text("\n".join(f"v{viewer}\ti{item}\t4\t{at:.0f}" for viewer, item, at in rows))
    words = ("train", "--engine", "spark", "--master", "local[2]", "--ratings", str(tmp_path / "ratings.tsv"), "--factors", "4", "--json")
    result = headwater(world, *words)
    assert (result.exit_code, result.stderr) == (0, "")
    outcome = json.loads(result.stdout)
    assert (outcome["engine"], outcome["settings"]["als"]["by_count"], outcome["data"]["users"]) == ("spark", True, 30)
    found = bundle.load(world.storage, tmp_path / "models", outcome["version"])
    history_0 = [(int(item), float(value)) for item, value in zip(*found.history(0), strict=True)]
    exact = fold_in.fold_in(found, history_0)
    np.testing.assert_allclose(found.viewer_factors[0], exact, atol=1e-3 * np.abs(exact).max())
    assert not list(world.settings.scratch_dir.glob("spark*/*"))
    for left in world.storage.list(bundle.PREFIX):
        world.storage.delete(left.key)
