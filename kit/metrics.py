"""What is measured, under the names Prometheus sees.

Two kinds of figures. Counters and histograms of this process (calls to the object store, steps a worker ran) live in
`REGISTRY`. What concerns the whole installation (queue depth, finished work, encode speed) is asked from the database at
the moment of the scrape, so it is right however many workers there are and however often they are restarted; `exposition`
takes those figures as values and knows no SQL.

Every label has a small, closed set of values: never an id, a key or a title.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REGISTRY = CollectorRegistry()

STORAGE_CALLS = Counter("headwater_storage_calls", "Requests to the object store of this process.", ["verb", "outcome"], registry=REGISTRY)
STEPS = Counter("headwater_steps", "Background steps this process ran, by how they ended.", ["kind", "outcome"], registry=REGISTRY)
STEP_SECONDS = Histogram(
    "headwater_step_seconds",
    "Wall-clock seconds of background steps this process ran.",
    ["kind"],
    buckets=(0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 900, 3600),
    registry=REGISTRY,
)


@dataclass(frozen=True, slots=True)
class JobFigures:
    """All jobs of one kind in one state, summed up."""

    kind: str
    state: str
    jobs: int
    attempts: int
    wall_s: float
    cpu_s: float
    media_s: float  # seconds of video the jobs produced, where they say so


class _Figures:
    """Presents figures of the database to prometheus_client, once."""

    def __init__(self, figures: Sequence[JobFigures], damaged: int) -> None:
        self._figures, self._damaged = figures, damaged

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("headwater_jobs", "Jobs in the database; queued and running ones are the queue.", labels=["kind", "state"])
        attempts = CounterMetricFamily("headwater_job_attempts", "Attempts used up.", labels=["kind"])
        wall = CounterMetricFamily("headwater_job_seconds", "Wall-clock seconds of successful jobs.", labels=["kind"])
        cpu = CounterMetricFamily("headwater_job_cpu_seconds", "CPU seconds of the processes of successful jobs.", labels=["kind"])
        speed = GaugeMetricFamily("headwater_encode_speed", "Seconds of media made in each second of a worker's time.", labels=["kind"])
        damaged = GaugeMetricFamily("headwater_damaged_objects", "Stored objects that a check found damaged and none has seen whole since.")
        damaged.add_metric([], self._damaged)
        for item in self._figures:
            if item.jobs:
                jobs.add_metric([item.kind, item.state], item.jobs)
        for kind, attempts_sum in _summed((item.kind, item.attempts) for item in self._figures):
            attempts.add_metric([kind], attempts_sum)
        for item in self._figures:
            if item.state == "succeeded":
                wall.add_metric([item.kind], item.wall_s)
                cpu.add_metric([item.kind], item.cpu_s)
                if item.media_s > 0 and item.wall_s > 0:
                    speed.add_metric([item.kind], item.media_s / item.wall_s)
        yield from (jobs, attempts, wall, cpu, speed, damaged)


def _summed(pairs: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    sums: dict[str, int] = {}
    for kind, number in pairs:
        sums[kind] = sums.get(kind, 0) + number
    return sorted(sums.items())


def exposition(figures: Sequence[JobFigures], *, damaged: int = 0) -> bytes:
    """The body of GET /metrics: this process's own figures and those of the database (`kit.job_store.figures`, stored objects that are
    damaged)."""
    from_database = CollectorRegistry()
    from_database.register(_Figures(figures, damaged))
    return generate_latest(REGISTRY) + generate_latest(from_database)
