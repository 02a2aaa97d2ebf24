"""`headwater evaluate`, `train` and `models` without a server: usage, sentences, exit codes, JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kit.settings import BadSetting
from stack import cli_recommend
from stack.cli import app
from stack.exits import Exit
from tests.histories import tasted

RUNNER = CliRunner()
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def run(*words: str) -> Result:
    hidden = dict.fromkeys(("HEADWATER_DATA_DIR", "HEADWATER_DATABASE_URL", "HEADWATER_S3_ENDPOINT"))
    return RUNNER.invoke(app, words, env={**hidden, "COLUMNS": "200"})


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    history = tasted(viewers=40, items=20, each=6)
    lines = [
        f"{history.viewer_ids[viewer]},{history.item_ids[item]},4,{at:.0f}"
        for viewer, item, at in zip(history.viewers, history.items, history.at_s, strict=True)
    ]
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines) + "\n")
    return tmp_path / "ratings.csv"


def test_json_is_the_contract_and_nothing_else(ratings: Path) -> None:
    result = run("evaluate", "--protocol", "global-time", "--ratings", str(ratings), "--metrics", "hr@5,ndcg@5", "--factors", "4", "--json")
    assert result.exit_code == Exit.OK, result.stderr
    found = json.loads(result.stdout)
    assert (found["protocol"], found["chosen_on"], set(found["metrics"])) == ("global-time", "validation", {"hr@5", "ndcg@5"})
    assert set(found["baselines"]["popularity"]) == {"hr@5", "ndcg@5"}
    assert found["fit_cpu_s"] >= found["choice_cpu_s"] > 0


def test_people_get_a_table_with_intervals_and_definitions(ratings: Path) -> None:
    result = run("evaluate", "--protocol", "global-time", "--ratings", str(ratings), "--factors", "4", "--model", "popularity")
    assert result.exit_code == Exit.OK, result.stderr
    for words in ("ndcg@10", " to ", "pessimistic", "candidates:", "users without a hit"):
        assert words in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--protocol", "global-time"), "needs --ratings"),
        (("--protocol", "leave-one-out", "--train", "FILE"), "needs --test"),
        (("--protocol", "full-ranking", "--train", "FILE", "--test", "FILE", "--negatives", "FILE"), "no use for --negatives"),
        (("--protocol", "global-time", "--ratings", "FILE", "--cut", "soon"), "must be a date"),
    ],
)
def test_a_wrong_choice_of_files_is_said(ratings: Path, words: tuple[str, ...], said: str) -> None:
    result = run("evaluate", *(str(ratings) if word == "FILE" else word for word in words))
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate",),
        ("evaluate", "--protocol", "random"),
        ("evaluate", "--protocol", "global-time", "--ratings", "/no/such"),
        ("train", "--engine", "abacus"),
    ],
)
def test_called_wrongly(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == Exit.USAGE


def test_a_file_that_is_none_and_a_metric_that_is_none(tmp_path: Path, ratings: Path) -> None:
    (tmp_path / "empty").touch()
    result = run("evaluate", "--protocol", "global-time", "--ratings", str(tmp_path / "empty"))
    assert (result.exit_code, result.stderr) == (Exit.REFUSED, "empty is no table: its first line is ''.\n")
    result = run("evaluate", "--protocol", "global-time", "--ratings", str(ratings), "--metrics", "luck@10")
    assert result.exit_code == Exit.REFUSED
    assert "'luck@10' is not a metric" in result.stderr


@pytest.mark.parametrize("words", [("train",), ("models", "list"), ("models", "rollback")])
def test_without_a_headwater_it_says_how_to_start_one(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = run(*words, "--data-dir", str(tmp_path))
    assert (result.exit_code, result.stdout) == (Exit.CANNOT_START, "")
    assert "headwater up" in result.stderr


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", None),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00+00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("28d", datetime(2026, 2, 1, tzinfo=UTC)),
    ],
)
def test_since(text: str, moment: datetime | None) -> None:
    assert cli_recommend.parse_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "-5d", "99999999d"])
def test_since_when(text: str) -> None:
    with pytest.raises(BadSetting):
        cli_recommend.parse_since(text, NOW)
