"""The commands of the recommender: `train`, `models`, `evaluate`.

`train` and `models` work on the Headwater whose settings the environment has, or else on the one that runs on the local data folder.
`evaluate` needs no Headwater: it reads files.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kit.errors import HeadwaterError
from kit.settings import BadSetting
from stack.cli_output import errors, output, print_json, say
from stack.cli_target import DataDir, Json, local_world

if TYPE_CHECKING:
    from recommend.protocols import Task

Seed = Annotated[int, typer.Option("--seed", min=0, help="Of everything that is drawn; the same seed gives the same model.")]
Threads = Annotated[int, typer.Option("--threads", min=0, help="Of the solver; 0 means one for each core.")]
_METRICS = {
    "global-time": "ndcg@10,hr@10,recall@20,map@10,mrr@10,coverage@10,gini@10,novelty@10,diversity@10",
    "leave-one-out": "hr@10,ndcg@10,mrr@10",
    "full-ranking": "recall@20,ndcg@20,hr@20,coverage@20,gini@20,novelty@20,diversity@20",
}  # fmt: skip


def _file(words: str) -> Any:
    return typer.Option(exists=True, dir_okay=False, readable=True, help=words)


def parse_since(text: str, now: datetime) -> datetime | None:
    """A date, a moment, or an age such as 90d. Raises BadSetting."""
    if not text:
        return None
    try:
        if age := re.fullmatch(r"(\d{1,5})d", text):
            return now - timedelta(days=int(age[1]))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise BadSetting(f"--since is {text!r}, but must be a date such as 2026-01-31 or an age such as 90d.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def train(
    engine: Annotated[
        Literal["implicit", "spark"],
        typer.Option("--engine", help="What fits the factors; spark is an extra: pip install 'headwater[spark]', and Java 17."),
    ] = "implicit",
    since: Annotated[str, typer.Option("--since", help="Only what was watched since then: a date, or an age such as 90d.")] = "",
    ratings: Annotated[Path | None, _file("Train on this table (user item rating timestamp) instead of the own history.")] = None,
    factors: Annotated[int, typer.Option("--factors", min=0, max=512, help="Of the model; 0 chooses by the size of the catalogue.")] = 0,
    *,
    keep: Annotated[int, typer.Option("--keep", min=1, help="Versions that are kept.")] = 10,
    master: Annotated[
        str, typer.Option("--master", help="Of Spark: local[N], or the address of a cluster that sees the scratch folder.")
    ] = ("local[*]"),
    publish: Annotated[bool, typer.Option("--publish/--no-publish", help="Whether servers are to answer from the new model.")] = True,
    seed: Seed = 1,
    threads: Threads = 0,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Learn from the viewing history and publish the model."""
    from recommend import loaders
    from recommend.learn import Options, learn
    from stack.progress import StageProgress

    with local_world(data_dir) as world, StageProgress(errors()) as progress:
        options = Options(parse_since(since, world.clock.now()), seed, factors, threads, keep, publish, engine, master)
        history = loaders.ratings(ratings) if ratings else None
        outcome = learn(world, options, history=history, progress=progress.show)
    if as_json:
        print_json(outcome)
        return
    from stack import tables_recommend

    output().print(tables_recommend.trained(outcome))


def evaluate(
    protocol: Annotated[Literal["global-time", "leave-one-out", "full-ranking"], typer.Option("--protocol", help="How to cut.")],
    ratings: Annotated[Path | None, _file("global-time: user item rating timestamp, as CSV, TSV, `::` or Parquet.")] = None,
    train: Annotated[Path | None, _file("Training file: `user item` lines, or `user item item …` for full-ranking.")] = None,
    test: Annotated[Path | None, _file("Test file of the same format.")] = None,
    *,
    negatives: Annotated[
        Path | None, _file("leave-one-out: (user,item) and then negatives, by line; without it, the mean over all draws of 99.")
    ] = None,
    validation: Annotated[
        Path | None, _file("full-ranking: a file to choose settings on; without one, a share of the training file.")
    ] = None,
    metrics: Annotated[
        str, typer.Option("--metrics", help="Comma-separated, as hr@10,ndcg@10; without them, the protocol's usual ones.")
    ] = "",
    model: Annotated[
        Literal["auto", "als", "rp3beta", "blend", "popularity"], typer.Option("--model", help="auto: the blend that validation chose.")
    ] = "auto",
    cut: Annotated[
        str, typer.Option("--cut", help="global-time: the moment, as a date; without one, 80 % of the rows are before it.")
    ] = "",
    positive_from: Annotated[float | None, typer.Option("--positive-from", help="Lower ratings are dislikes; else all rows count.")] = None,
    factors: Annotated[int, typer.Option("--factors", min=1, max=1024, help="Of the factor model.")] = 192,
    epochs: Annotated[int, typer.Option("--epochs", min=1, max=200, help="Of the factor model.")] = 10,
    seed: Seed = 1,
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Measure the recommender on a data set, beside every baseline. Settings are chosen on validation data only."""
    from recommend import metrics as measures
    from recommend import protocols
    from stack import tables_recommend
    from stack.progress import StageProgress

    wanted = protocols.Wanted(measures.parse(metrics or _METRICS[protocol]), model, seed, factors, epochs, threads)
    files = {"ratings": ratings, "train": train, "test": test, "negatives": negatives, "validation": validation}
    with StageProgress(errors()) as progress:
        progress.show("Reading", 0.0)
        outcome = protocols.run(_task(protocol, files, cut, positive_from), wanted, progress=progress.show)
    if as_json:
        print_json(outcome)
    else:
        output().print(tables_recommend.evaluated(outcome))


_NEEDED = {"global-time": ("ratings",), "leave-one-out": ("train", "test"), "full-ranking": ("train", "test")}
_ALLOWED = {**_NEEDED, "leave-one-out": ("train", "test", "negatives"), "full-ranking": ("train", "test", "validation")}


def _task(protocol: str, files: dict[str, Path | None], cut: str, positive_from: float | None) -> Task:
    """Reads the files. Raises BadSetting for a missing or a superfluous one."""
    from kit.clock import SystemClock
    from recommend import loaders, protocols

    given = {name: path for name, path in files.items() if path is not None}
    for name in _NEEDED[protocol]:
        if name not in given:
            raise BadSetting(f"The protocol {protocol} needs --{name}.")
    for name in given:
        if name not in _ALLOWED[protocol]:
            raise BadSetting(f"The protocol {protocol} has no use for --{name}.")
    if protocol == "global-time":
        moment = parse_since(cut, SystemClock().now())
        history = loaders.ratings(given["ratings"], positive_from=positive_from)
        return protocols.global_time(history, cut=moment.timestamp() if moment else None)
    if protocol == "leave-one-out":
        return protocols.leave_one_out(given["train"], given["test"], given.get("negatives"))
    return protocols.full_ranking(given["train"], given["test"], given.get("validation"))


models_app = typer.Typer(no_args_is_help=True, help="The recommender's models.")


@models_app.command("list")
def list_models(as_json: Json = False, data_dir: DataDir = None) -> None:
    """The versions that are kept, the newest first."""
    from recommend import bundle
    from stack import tables_recommend

    with local_world(data_dir) as world:
        found = bundle.history(world.storage)
    if as_json:
        rows = [
            {"version": one.version, "published_at": one.published_at.isoformat(), "current": one.current, **one.facts} for one in found
        ]
        print_json(rows)
    elif found:
        output().print(tables_recommend.models(found))
    else:
        say("No model has been trained yet: `headwater train` makes one.")


@models_app.command("rollback")
def rollback(
    version: Annotated[str, typer.Argument(help="The version to answer from; without one, the one before the current.")] = "",
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Answer from an earlier model. Servers notice within seconds."""
    from recommend import bundle

    with local_world(data_dir) as world:
        now = bundle.rollback(world.storage, world.clock, version or None)
    if as_json:
        print_json({"version": now})
    else:
        say(f"Answering from {now}.")


@models_app.command("report")
def report(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write the page.")],
    version: Annotated[str, typer.Option("--version", help="Of this model; without it, of the current one.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Write a model's report: an HTML page with plots."""
    from recommend import bundle

    with local_world(data_dir) as world:
        found = bundle.load(world.storage, world.settings.scratch_dir / "models", version or None)
    try:
        file.write_text(found.report, encoding="utf-8")
    except OSError as error:
        raise HeadwaterError(f"{file} cannot be written: {error.strerror}.", code="unwritable") from error


def add_to(app: typer.Typer) -> None:
    panel = "Recommender"
    app.command(rich_help_panel=panel)(train)
    app.command(rich_help_panel=panel)(evaluate)
    app.add_typer(models_app, name="models", rich_help_panel=panel)
