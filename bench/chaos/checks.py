"""What must be true after a chaos run, as pure functions over what was sent and what there is. Every breach is one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.chaos.client import Sent
from bench.chaos.inventory import Inventory, Title
from media import keys

OTHER_PREFIXES = ("lake/", "models/")  # what viewers did: objects that name themselves in manifests of their own
MAIN = "main.m3u8"

Outputs = Mapping[str, str]
"""The digest of everything that was made of a clip, by its key below the asset's prefix; the multivariant playlist as `MAIN`."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str  # lost, doubled, orphaned, unfinished, unequal, broken
    sentence: str


def outputs(inventory: Inventory, title: Title) -> Outputs:
    """What was made of a title, as the store has it."""
    prefix = keys.PRESENTATIONS + title.id + "/"
    made = {item.key.removeprefix(prefix): item.sha256 for item in inventory.stored if item.key.startswith(prefix)}
    return made | {MAIN: title.main}


def nothing_lost(sent: Sequence[Sent], there: Inventory) -> Iterator[Finding]:
    """Every acknowledged upload that nobody deleted is ready, with the source that was sent; every deleted one is gone; everything
    that the database names is in the store as it says."""
    titles = {title.external_id: title for title in there.titles if title.status != "deleted"}
    stored = {item.key: item for item in there.stored}
    for one in sent:
        title, name = titles.get(one.order.key), f"{one.order.key} ({one.order.clip.name}, {one.order.way})"
        if one.refused:
            yield Finding("lost", f"The upload {name} could not be carried out: {one.refused}")
        elif one.ended and title is not None:
            yield Finding("lost", f"The deletion of {name} was lost: it is {title.status}.")
        elif one.acknowledged and not one.ended:
            if title is None:
                yield Finding("lost", f"The upload {name} was acknowledged and there is no asset of it.")
            elif title.status != "ready":
                yield Finding("lost", f"The upload {name} was acknowledged and {title.id} is {title.status}. {title.error}".strip())
            elif _sha(stored, title.source_key) != one.order.clip.sha256:
                yield Finding("lost", f"The source of {name} is not what was sent.")
            elif title.source_sha256 != one.order.clip.sha256:
                yield Finding("lost", f"The SHA-256 of the source of {name} is {title.source_sha256 or 'not'} noted.")
    for item in there.named:
        found = stored.get(item.key)
        if found is None:
            yield Finding("lost", f"{item.key} ({item.why}) is not in the store.")
        elif item.size_bytes not in (None, found.size_bytes) or item.sha256 not in (None, found.sha256):
            yield Finding("lost", f"{item.key} ({item.why}) has other bytes than the database says.")


def _sha(stored: Mapping[str, object], key: str) -> str:
    return getattr(stored.get(key), "sha256", "")


def nothing_doubled(sent: Sequence[Sent], there: Inventory) -> Iterator[Finding]:
    """One asset for each upload, one row for each object, one job for each piece of work."""
    wanted = {one.order.key for one in sent}
    for name, count in Counter(title.external_id for title in there.titles).items():
        if name in wanted and count > 1:
            yield Finding("doubled", f"The upload {name} became {count} assets.")
    for key, count in Counter(item.key for item in there.named).items():
        if count > 1:
            yield Finding("doubled", f"{count} rows stand for {key}.")
    for (kind, subject), count in Counter((job.kind, job.subject) for job in there.jobs).items():
        if count > 1:
            yield Finding("doubled", f"There are {count} jobs {kind} of {subject}.")


def nothing_orphaned(there: Inventory) -> Iterator[Finding]:
    """No object, multipart upload, working folder or process that nobody names."""
    named = {item.key for item in there.named}
    for item in there.stored:
        if item.key not in named and not item.key.startswith(OTHER_PREFIXES):
            yield Finding("orphaned", f"{item.key} ({item.size_bytes} bytes) is named by nothing.")
    for name in there.open_multiparts:
        yield Finding("orphaned", f"The multipart upload {name} is still open.")
    for name in there.scratch:
        yield Finding("orphaned", f"{name} was left in the workers' space.")
    for name in there.processes:
        yield Finding("orphaned", f"A process was left: {name}")


def nothing_unfinished(there: Inventory) -> Iterator[Finding]:
    """No job and no upload still going on, and no job of a living title given up."""
    living = {title.id for title in there.titles if title.status != "deleted"}
    for job in there.jobs:
        if job.state in ("queued", "running"):
            yield Finding(
                "unfinished", f"The job {job.kind} of {job.subject} is still {job.state} (attempt {job.attempt}). {job.error}".strip()
            )
        elif job.state == "failed" and job.asset_id in living:
            yield Finding("unfinished", f"The job {job.kind} of {job.subject} was given up after {job.attempt} attempts: {job.error}.")
    for name in there.open_uploads:
        yield Finding("unfinished", f"The upload {name} is not closed.")


def bytes_equal(sent: Sequence[Sent], there: Inventory, quiet: Mapping[str, Outputs]) -> Iterator[Finding]:
    """Whatever is ready is byte for byte what a quiet system makes of the same clip."""
    titles = {title.external_id: title for title in there.titles if title.status == "ready"}
    for one in sent:
        title, expected = titles.get(one.order.key), quiet[one.order.clip.name]
        if title is not None and (made := outputs(there, title)) != expected:
            wrong = sorted(name for name in {*made, *expected} if made.get(name) != expected.get(name))
            yield Finding(
                "unequal", f"{title.id} ({one.order.clip.name}) differs from a quiet run in {len(wrong)} objects: {', '.join(wrong[:3])}."
            )


def nothing_broken(sent: Sequence[Sent]) -> Iterator[Finding]:
    """Whatever was away, nobody was told that something unforeseen had happened."""
    for one in sent:
        for sentence in one.bugs:
            yield Finding("broken", f"{one.order.key}: {sentence}")


def judge(sent: Sequence[Sent], there: Inventory, quiet: Mapping[str, Outputs]) -> tuple[Finding, ...]:
    """Everything that is wrong. Empty when the run passed."""
    asked: Sequence[Callable[[], Iterable[Finding]]] = (
        lambda: nothing_lost(sent, there), lambda: nothing_doubled(sent, there), lambda: nothing_orphaned(there),
        lambda: nothing_unfinished(there), lambda: bytes_equal(sent, there, quiet), lambda: nothing_broken(sent),
    )  # fmt: skip
    return tuple(finding for ask in asked for finding in ask())
