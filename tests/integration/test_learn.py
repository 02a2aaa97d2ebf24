"""From events to a model on a live database and object store, through the lake, as `headwater train` and the nightly step do it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from kit.world import World
from recommend import bundle, fold_in, lake, ranking
from recommend.learn import Options, learn
from recommend.training import NothingToLearn
from stack.cli import app
from stack.exits import Exit
from tests.api_client import open_api
from tests.histories import tasted
from tests.viewing import a_title, watched


@pytest.fixture(autouse=True)
def _empty_store(world: World) -> Iterator[None]:
    yield
    for found in [*world.storage.list(lake.PREFIX), *world.storage.list(bundle.PREFIX)]:
        world.storage.delete(found.key)


def headwater(world: World, *words: str) -> Result:
    names = (
        "database_url",
        "broker_url",
        "s3_endpoint",
        "s3_bucket",
        "s3_access_key",
        "s3_secret_key",
        "s3_region",
        "secret_key",
        "scratch_dir",
    )
    assert set(names) <= {item.name for item in fields(world.settings)}
    environment = {f"HEADWATER_{name.upper()}": str(getattr(world.settings, name)) for name in names}
    return CliRunner().invoke(app, words, env={**environment, "COLUMNS": "200"})


def test_two_tastes_become_two_lists(world: World) -> None:
    """Events, lake, training, publication and an answer: each viewer gets first what others of the same taste watched."""
    titles = {taste: [a_title(world, f"{taste} {number}", tags=[taste]).id for number in range(4)] for taste in ("sea", "snow")}
    events = [
        watched(f"{taste}-{viewer}", title, ago_s=3_600.0 * (viewer + 1))
        for taste, mine in titles.items()
        for viewer in range(6)
        for place, title in enumerate(mine)
        if place != viewer % 4
    ]
    reply = open_api(world).post("/v1/events", json=events)
    assert reply.json()["dropped"] == [], reply.text
    outcome = learn(world, Options(factors=4, threads=1))
    assert (outcome["data"]["users"], outcome["data"]["items"], outcome["published"]) == (12, 8, True)
    found = bundle.load(world.storage, world.settings.scratch_dir / "models")
    assert found.version == outcome["version"]
    for taste in titles:
        for number in range(6):
            viewer = found.viewer_code(f"{taste}-{number}")
            assert viewer is not None
            history = [(int(item), float(value)) for item, value in zip(*found.history(viewer), strict=True)]
            scores = ranking.score(found, fold_in.fold_in(found, history), history)
            scores[[item for item, _ in history]] = -np.inf
            assert found.item_id(int(np.argmax(scores))) == titles[taste][number % 4]


def test_an_empty_lake_is_said(world: World) -> None:
    with pytest.raises(NothingToLearn):
        learn(world, Options())
    result = headwater(world, "train")
    assert (result.exit_code, result.stdout) == (Exit.REFUSED, "")
    assert result.stderr == "Nobody has watched anything yet: there is nothing to learn from.\n"
    assert "No model has been trained yet" in headwater(world, "models", "list").stdout


def test_the_commands(world: World, tmp_path: Path) -> None:
    """`train`, `models list`, `rollback` and `report`, on a table of ratings."""
    history = tasted(viewers=40, items=20, each=6)
    rows = zip(history.viewers, history.items, history.at_s, strict=True)
    lines = [f"{history.viewer_ids[viewer]}\t{history.item_ids[item]}\t4\t{at:.0f}" for viewer, item, at in rows]
    (tmp_path / "ratings.tsv").write_text("\n".join(lines))
    train = ("train", "--ratings", str(tmp_path / "ratings.tsv"), "--factors", "4", "--threads", "1")

    first = headwater(world, *train, "--json")
    assert first.exit_code == Exit.OK, first.stderr
    outcome = json.loads(first.stdout)
    assert outcome["data"]["rows"] == 240
    assert set(outcome["metrics"]["baselines"]) >= {"popularity"}
    second = headwater(world, *train)
    assert second.exit_code == Exit.OK, second.stderr
    for words in ("240 viewings of 20 titles by 40 viewers", "popularity", "ndcg@10", "Published mdl_"):
        assert words in second.stdout

    unpublished = headwater(world, *train, "--no-publish", "--json")
    listed = json.loads(headwater(world, "models", "list", "--json").stdout)
    assert [one["current"] for one in listed] == [True, False]
    assert json.loads(unpublished.stdout)["version"] not in {one["version"] for one in listed}
    assert json.loads(headwater(world, "models", "rollback", "--json").stdout)["version"] == outcome["version"]
    assert bundle.current_version(world.storage) == outcome["version"]
    assert headwater(world, "models", "rollback").exit_code == Exit.REFUSED
    assert headwater(world, "models", "report", str(tmp_path / "report.html")).exit_code == Exit.OK
    assert outcome["version"] in (tmp_path / "report.html").read_text()

    assert headwater(world, *train, "--keep", "1").exit_code == Exit.OK
    assert len(json.loads(headwater(world, "models", "list", "--json").stdout)) == 1
