"""The source of a title on the worker's disk, for steps that take text out of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog import early
from catalog.asset import Asset
from catalog.early import Early
from kit import scratch
from kit.errors import StepFailed
from kit.jobs import Job
from kit.world import World


@contextmanager
def fetched(world: World, asset: Asset, arriving: Early | None, job: Job) -> Iterator[tuple[Path, Path]]:
    """The whole source, and a folder of the step's own, for as long as the block lasts. Raises StepFailed when there is no source."""
    if asset.source is None or asset.source_key is None or asset.source_size_bytes is None:
        raise StepFailed("The asset has no source.", code="no_source")
    settings = world.settings
    storage, name = early.reader(world.storage, asset, arriving)
    limit = settings.scratch_budget_bytes or None
    with (
        scratch.fetch(storage, name, asset.source_size_bytes, settings.scratch_dir, None, limit_bytes=limit) as source,
        scratch.work_dir(settings.scratch_dir, job.id) as folder,
    ):
        yield source, folder
