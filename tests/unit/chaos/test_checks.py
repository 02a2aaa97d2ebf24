"""Each check of the chaos run finds the fault that it is for, planted into an inventory in which all is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.chaos.checks import MAIN, Finding, judge
from bench.chaos.client import Order, Sent
from bench.chaos.clips import Clip
from bench.chaos.inventory import Inventory, Named, Stored, Title, Work

CLIP = Clip("film", Path("film.mp4"), 4, "5a")
ORDERS = {fate: Order(fate, CLIP, "tus", fate, 2, 0.5) for fate in ("keep", "delete", "cancel")}
SENT = (
    Sent(ORDERS["keep"], "ast_1", acknowledged=True),
    Sent(ORDERS["delete"], "ast_2", acknowledged=True, ended=True),
    Sent(ORDERS["cancel"], "ast_3", ended=True),
)
SEGMENT, SOURCE = "presentations/ast_1/p/90p/00000.m4s", "sources/ast_1/source"
WELL = Inventory(
    titles=(
        Title("ast_1", "keep", "ready", "", SOURCE, "5a", "mm"),
        Title("ast_2", "delete", "deleted", "", "sources/ast_2/source", "5a", ""),
        Title("ast_3", "cancel", "deleted", "", "", "", ""),
    ),
    named=(Named(SOURCE, "source", 4, "5a"), Named(SEGMENT, "segment", 9, "5e")),
    stored=(Stored(SOURCE, 4, "5a"), Stored(SEGMENT, 9, "5e"), Stored("lake/manifest.json", 2, "00")),
    open_multiparts=(),
    open_uploads=(),
    jobs=(Work("job_1", "transcode.encode", "s", "ast_1", "succeeded", 2, "", 0.0, 1.0),),
)
QUIET = {"film": {"p/90p/00000.m4s": "5e", MAIN: "mm"}}

Plant = Callable[[Inventory], Inventory]


def titled(**changes: str) -> Plant:
    return lambda well: replace(well, titles=(replace(well.titles[0], **changes), *well.titles[1:]))


def stored(*objects: Stored) -> Plant:
    """The objects under these keys, instead of those that are there."""
    names = {item.key for item in objects}
    return lambda well: replace(well, stored=(*(item for item in well.stored if item.key not in names), *objects))


def without(key: str) -> Plant:
    return lambda well: replace(well, stored=tuple(item for item in well.stored if item.key != key))


def job(**changes: object) -> Plant:
    return lambda well: replace(well, jobs=(replace(well.jobs[0], **changes),))  # type: ignore[arg-type]


def test_nothing_is_said_of_a_run_in_which_all_is_well() -> None:
    assert judge(SENT, WELL, QUIET) == ()


FAULTS: list[tuple[Plant, set[str]]] = [
    (titled(status="processing"), {"lost"}),
    (titled(status="errored", error="worker_lost: gone"), {"lost"}),
    (titled(external_id="somebody else's"), {"lost"}),
    (titled(source_sha256="5b"), {"lost"}),
    (titled(main="mn"), {"unequal"}),
    (stored(Stored(SOURCE, 4, "5b")), {"lost"}),
    (stored(Stored(SEGMENT, 9, "5f")), {"lost", "unequal"}),
    (stored(Stored(SEGMENT, 8, "5e")), {"lost"}),
    (without(SEGMENT), {"lost", "unequal"}),
    (without(SOURCE), {"lost"}),
    (stored(Stored("sources/ast_2/source", 4, "5a")), {"orphaned"}),
    (stored(Stored("presentations/ast_1/p/90p/00001.m4s", 4, "aa")), {"orphaned", "unequal"}),
    (lambda well: replace(well, titles=(replace(well.titles[0], id="ast_9"), *well.titles)), {"doubled"}),
    (lambda well: replace(well, named=(*well.named, well.named[1])), {"doubled"}),
    (lambda well: replace(well, jobs=well.jobs * 2), {"doubled"}),
    (lambda well: replace(well, titles=(*well.titles[:1], replace(well.titles[1], status="ready"), *well.titles[2:])), {"lost", "unequal"}),
    (lambda well: replace(well, open_multiparts=("sources/ast_3/source 17",)), {"orphaned"}),
    (lambda well: replace(well, scratch=("work/encode-1",)), {"orphaned"}),
    (lambda well: replace(well, processes=("17 ffmpeg",)), {"orphaned"}),
    (lambda well: replace(well, open_uploads=("upl_1 (receiving)",)), {"unfinished"}),
    (job(state="running"), {"unfinished"}),
    (job(state="failed", error="worker_lost"), {"unfinished"}),
]


@pytest.mark.parametrize(("plant", "checks"), FAULTS)
def test_a_planted_fault_is_found(plant: Plant, checks: set[str]) -> None:
    assert {finding.check for finding in judge(SENT, plant(WELL), QUIET)} == checks


def test_a_failed_job_of_a_deleted_title_is_nobodys_loss() -> None:
    assert judge(SENT, job(state="failed", asset_id="ast_2")(WELL), QUIET) == ()


def test_a_client_that_was_sent_away_or_told_of_a_bug_is_heard() -> None:
    sent = (replace(SENT[0], acknowledged=False, refused="PATCH was answered 404"), replace(SENT[1], bugs=("DELETE was answered 500",)))
    assert judge(sent, WELL, QUIET) == (
        Finding("lost", "The upload keep (film, tus) could not be carried out: PATCH was answered 404"),
        Finding("broken", "delete: DELETE was answered 500"),
    )
