"""The job machine, as values: which states a background job has, and what each event does to it.

A job is a row (`kit.job_store`); this module only decides. `advance` takes a job and an event and returns the job as it
should be stored next, or raises `Refused` when the event comes from someone who no longer owns the job, which is ordinary:
messages are delivered at least once, and a stopped worker may wake up after its lease has passed to another.

The state diagram in ARCHITECTURE.md is drawn from `TRANSITIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be created. (`kind`, `subject`) is unique: asking twice for the same work creates one job."""

    kind: str  # "transcode.encode"
    subject: str  # what it is about, e.g. "<plan digest>/g0/c3"
    asset_id: str
    args: Mapping[str, Any] = field(default_factory=dict)  # JSON
    priority: int = 0  # larger is sooner
    weight: float = 1.0  # share of its asset's progress, e.g. CPU seconds expected
    max_attempts: int = 3


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored."""

    id: str
    kind: str
    subject: str
    asset_id: str
    args: Mapping[str, Any]
    priority: int
    weight: float
    state: State
    attempt: int  # attempts used up, the running one included
    max_attempts: int
    epoch: int  # rises with every claim; an owner's word counts only for its own epoch
    owner: str | None
    lease_until: datetime | None
    not_before: datetime
    progress: float  # 0 to 1, never falls
    stats: Mapping[str, Any]  # figures of the last run: cpu_s, peak_rss_bytes, fps …
    error_code: str | None
    error_detail: str | None
    created_at: datetime
    finished_at: datetime | None
