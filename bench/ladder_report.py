"""The figures of `make bench-ladder` as values, and as one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.scaling import Scale, reason, stops_at

COST, USED, TWO_TO_ONE, VMAF, SIZE = 1.03, 0.90, 1.8, 0.3, 0.02


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a round, the mean of all."""

    source: str
    rungs: Sequence[str]
    frames: int
    plain_cpu_s: float
    pipeline_cpu_s: float
    plain_system_s: float  # of these, in the kernel
    pipeline_system_s: float


@dataclass(frozen=True, slots=True)
class Costs:
    """With ordinary memory, and with huge pages for both where they can be had."""

    ordinary: Cost
    huge_pages: Cost | None


@dataclass(frozen=True, slots=True)
class Ours:
    """What the clip that the others are compared on costs us."""

    source: str
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Machine:
    """The encode phase of one title: with a worker for each core, and with one worker on one core."""

    source: str
    cores: int
    all_wall_s: float
    one_wall_s: float
    all_cpu_s: float
    one_cpu_s: float
    machine_busy: float  # share of all cores that anything used, 0 to 1
    playable_s: float  # from the last byte
    ready_s: float

    @property
    def used(self) -> float:
        return self.all_cpu_s / self.all_wall_s / self.cores


@dataclass(frozen=True, slots=True)
class Chunked:
    rendition: str
    vmaf: float
    whole_vmaf: float
    bps: float
    whole_bps: float


@dataclass(frozen=True, slots=True)
class Compared:
    """One rung of another platform, and what we reach at its bitrate; None where that is beyond what we encoded."""

    rendition: str
    bps: float
    vmaf: float
    ours_vmaf: float | None


@dataclass(frozen=True, slots=True)
class Rival:
    name: str
    cpu_s: float
    wall_s: float
    first_s: float  # until its first rung is whole
    rungs: list[Compared]


@dataclass(frozen=True, slots=True)
class Scaled:
    """Each rung from the next larger one, against each from the source, in one process."""

    cpu_ratio: float
    vmaf: dict[str, float]  # gained or lost
    size: dict[str, float]  # likewise, as a share


@dataclass(frozen=True, slots=True)
class Report:
    machine: dict[str, str]
    quick: bool
    cost: Costs
    use: Machine
    ours: Ours
    chunks: list[Chunked]
    rivals: list[Rival]
    cascade: Scaled
    simulation: list[Scale]
    recordings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """`kept`: None where there is no target."""

    what: str
    figure: str
    target: str = ""
    kept: bool | None = None


def rows(report: Report) -> Iterator[Row]:
    use = report.use
    speed_up = use.one_wall_s / use.all_wall_s
    yield from rows_of_costs(report.cost)
    yield Row(f"use of {use.cores} cores by the jobs, encode phase", f"{use.used:.1%}", f"≥ {USED:.0%}", use.used >= USED)
    yield Row("… by anything on the machine", f"{use.machine_busy:.1%}")
    yield Row(f"{use.cores} workers ÷ one on one core, speed", f"{speed_up:.2f}", f"≥ {TWO_TO_ONE}", speed_up >= TWO_TO_ONE)
    yield from rows_of_chunks(report.chunks)
    for rival in report.rivals:
        yield from _beside(rival, report)
    for name, vmaf in report.cascade.vmaf.items():
        yield Row(f"{name} scaled from the next larger, VMAF and size", f"{vmaf:+.2f}, {report.cascade.size[name]:+.2%}")
    yield Row("… CPU of the whole ladder ÷ scaled from the source", f"{report.cascade.cpu_ratio:.3f}")


def rows_of_costs(costs: Costs) -> Iterator[Row]:
    yield from _rows_of_cost("ordinary memory", costs.ordinary)
    if costs.huge_pages is not None:
        yield from _rows_of_cost("huge pages", costs.huge_pages)


def _rows_of_cost(memory: str, cost: Cost) -> Iterator[Row]:
    ratio = cost.pipeline_cpu_s / cost.plain_cpu_s
    yield Row(f"CPU of the pipeline ÷ one plain FFmpeg process, {memory}", f"{ratio:.3f}", f"≤ {COST}", ratio <= COST)
    yield Row("… of ours, in the kernel", f"{cost.pipeline_system_s / cost.pipeline_cpu_s:.1%}")
    in_user = (cost.pipeline_cpu_s - cost.pipeline_system_s) / (cost.plain_cpu_s - cost.plain_system_s)
    yield Row("… outside the kernel", f"{in_user:.3f}")


def rows_of_chunks(chunks: Sequence[Chunked]) -> Iterator[Row]:
    """In one piece: x264 at the rung's own rate factor, with nothing said about any picture."""
    for item in chunks:
        vmaf, size = item.vmaf - item.whole_vmaf, item.bps / item.whole_bps - 1
        yield Row(f"{item.rendition} in chunks − in one piece, VMAF", f"{vmaf:+.2f}", f"± {VMAF}", abs(vmaf) <= VMAF)
        yield Row(f"{item.rendition} in chunks − in one piece, size", f"{size:+.2%}", f"± {SIZE:.0%}", abs(size) <= SIZE)


def _beside(rival: Rival, report: Report) -> Iterator[Row]:
    """Ratios above 1: the other takes more."""
    yield Row(f"{rival.name} ÷ ours, CPU seconds", f"{rival.cpu_s / report.ours.cpu_s:.2f}")
    # Ours in wall seconds as the whole stack needed them for the longer title, by length.
    ours_s = report.use.all_wall_s * _share(report)
    yield Row(f"{rival.name} ÷ ours, wall seconds", f"{rival.wall_s / ours_s:.2f}")
    yield Row(f"{rival.name} ÷ ours, seconds to something that plays", f"{rival.first_s:.1f} / {report.use.playable_s:.1f}")
    for item in rival.rungs:
        ours = "beyond our curve" if item.ours_vmaf is None else f"{item.ours_vmaf:.1f}"
        yield Row(f"{rival.name} {item.rendition}, VMAF at its {item.bps / 1e6:.2f} Mbit/s: it, ours", f"{item.vmaf:.1f}, {ours}")


def _share(report: Report) -> float:
    """How long the compared clip is, as a share of the title that the stack made, in CPU seconds of ours."""
    return report.ours.cpu_s / report.use.all_cpu_s


def table_of(title: str, found: Sequence[Row]) -> Table:
    table = Table(title=title)
    for name in ("what", "figure", "target", ""):
        table.add_column(name)
    for row in found:
        table.add_row(row.what, row.figure, row.target, {True: "kept", False: "missed", None: ""}[row.kept])
    return table


def show(console: Console, report: Report) -> bool:
    """Prints everything. True when every target is kept."""
    about = Table(title="Machine", show_header=False)
    for name, value in report.machine.items():
        about.add_row(name, value)
    about.add_row("compared", report.ours.source)
    about.add_row("cost", f"{report.cost.ordinary.source}; {', '.join(report.cost.ordinary.rungs)}")
    about.add_row("whole stack", report.use.source)
    found = list(rows(report))
    table = table_of("Ladder", found)
    simulated = Table(title="A title of an hour, simulated with the times of one worker on one core")
    for name in ("workers", "wall, s", "speed-up", "of what they could", "kept back by"):
        simulated.add_column(name, justify="left" if name == "kept back by" else "right")
    for item in report.simulation:
        simulated.add_row(str(item.workers), f"{item.wall_s:.0f}", f"{item.speed_up:.1f}", f"{item.efficiency:.0%}", reason(item))
    for each in (about, table, simulated):
        console.print(each)
    stop = stops_at(report.simulation)
    console.print("More workers bring more up to 64." if stop is None else f"It stops at {stop.workers} workers: {reason(stop)}.")
    return all(row.kept is not False for row in found)
