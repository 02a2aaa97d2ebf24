"""The whole ladder at the machine's limit: `make bench-ladder`.

All in one run, on clips made from one real clip (`--clip` or HEADWATER_BENCH_CLIP; a test picture otherwise) in 1080p with grain:

- cost: CPU seconds of what workers do (probe, init segments, the opening alone, chunks without it, audio, verification) divided by
  those of one plain FFmpeg process with the same decoder, filters and encodes, of two minutes. Target 1.03. Both run at once, each on
  a core of its own, and change cores after each round: what else the machine does slows down both. Then the same with memory from
  huge pages for both (`HEADWATER_HUGE_PAGES`), which are set aside for so long where this process may do that (vm.nr_hugepages);
- use of the machine: a longer title through a whole local stack. CPU seconds of its jobs ÷ wall seconds of the encode phase ÷ cores,
  target 90 %; and how much sooner two workers are done than one that may use one core only, target 1.8;
- chunks: each rung made in chunks against the same rung made in one piece: VMAF within 0.3, size within 2 %;
- side by side: the same ladder made as PeerTube and MediaCMS make it (`bench.platforms`): CPU and wall seconds, seconds until something
  can be played, and what our encoder reaches at the bitrate of each of their rungs (VMAF at equal bitrate);
- scaling each rung from the next larger one instead of from the source: CPU and VMAF (for information: the pipeline does not do it);
- a simulation of 1 to 64 workers with the times recorded here, for a title of an hour (`bench.scaling`).

CPU seconds vary little with what else the machine does; wall seconds do, so run it on a quiet machine. `--quick` is for working on
the bench itself. `--only cost` and `--only chunks` make that comparison and nothing else; its figures stand beside those of the whole run.
Writes bench/results/ladder.json. Exit code 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from rich.console import Console

from bench.beside import beside
from bench.ladder_report import (
    Chunked,
    Compared,
    Cost,
    Costs,
    Machine,
    Ours,
    Report,
    Rival,
    Scaled,
    rows_of_chunks,
    rows_of_costs,
    show,
    table_of,
)
from bench.memory_pool import set_aside
from bench.platforms import Process, mediacms, peertube
from bench.quality import Encoded, at_bitrate, packets, score
from bench.scaling import Task, Title, scale
from bench.stack_run import JobRecord, Recording, record
from bench.transcode import Source, Spent, about, make_source, pipeline, plain_audio, plain_rung, run_plain
from catalog.kinds import ENCODE, PLAN, PROBE, PUBLISH, SEGMENT
from ingest.probe import probe
from kit.world import World
from media.plan import EncodePlan
from media.rendition import VideoRendition
from tests.encoded import EncodedTitle
from tests.media.conftest import world_without_servers
from transcode.ffmpeg.run import SCALER
from transcode.plan import PlanOptions, make_plan
from worker import flow

RESULTS = Path(__file__).parent / "results" / "ladder.json"
SIZE = "1920x1080"
HOUR_S = 3600
_LABELS = "setparams=color_primaries=bt709:colorspace=bt709:color_trc=bt709:range=tv"  # as the plan takes a source that says nothing
HUGE_PAGES = 1400  # for one encode process as docs/settings.md recommends, and for the plain one beside it
CRFS = (17, 20, 26, 30)  # beside our own, for the curve that the others are held against


@dataclass(frozen=True, slots=True)
class Bench:
    """What all parts share."""

    world: World
    folder: Path
    say: Callable[[str], None]


def plain(bench: Bench, source: Source, plan: EncodePlan, *, cascade: bool = False) -> float:
    """CPU seconds of one FFmpeg process that makes the whole ladder, to plain-<rung>.mp4. `cascade`: each rung from the next larger one."""
    names = [rung.name for rung in plan.video]
    parts = [f"[0:v:0]fps={plan.grid.frame_rate},{_LABELS}" + (f",{_scaled(plan.video[-1])}[s{len(names) - 1}]" if cascade else "")]
    if cascade:
        for index in range(len(names) - 1, 0, -1):
            parts += [f"[s{index}]split[v{index}][t{index}]", f"[t{index}]{_scaled(plan.video[index - 1])}[s{index - 1}]"]
        parts.append("[s0]null[v0]")
    else:
        parts[0] += f",split={len(names)}" + "".join(f"[a{index}]" for index in range(len(names)))
        parts += [f"[a{index}]{_scaled(rung)}[v{index}]" for index, rung in enumerate(plan.video)]
    outputs: list[str] = []
    for index, rung in enumerate(plan.video):
        outputs += ["-map", f"[v{index}]", *plain_rung(rung, plan, bench.folder)]
    arguments = ["-threads", "1", "-i", str(source.path), "-filter_complex_threads", "1", "-filter_complex", ";".join(parts), *outputs]
    return run_plain(bench.world, [*arguments, *plain_audio(plan, bench.folder)]).cpu_s


def _scaled(rung: VideoRendition) -> str:
    return f"scale={rung.width}:{rung.height}:flags={SCALER}:out_color_matrix=bt709:out_range=tv,format=yuv420p,setsar=1"


def plain_output(bench: Bench, rung: VideoRendition) -> Path:
    return bench.folder / f"plain-{rung.name}.mp4"


def measure_costs(bench: Bench, source: Source, rounds: int) -> Costs:
    ordinary = measure_cost(bench, source, rounds)
    with set_aside(HUGE_PAGES) as pages:
        if not pages:
            bench.say("cost: no huge pages can be set aside here")
            return Costs(ordinary, None)
        bench.say(f"cost: {pages} huge pages are set aside")
        world = replace(bench.world, settings=replace(bench.world.settings, huge_pages=True))
        return Costs(ordinary, measure_cost(replace(bench, world=world), source, rounds))


def measure_cost(bench: Bench, source: Source, rounds: int) -> Cost:
    """Both at once, each on a core of its own, which they change after every round. All rounds together count."""
    plan = make_plan(probe(bench.world, source.path), "source", PlanOptions(), "encoder")
    theirs, ours = Spent(0.0, 0.0), Spent(0.0, 0.0)
    for turn in range(rounds):
        bench.say(f"cost: round {turn + 1} of {rounds}")
        both = beside(
            lambda: plain(bench, source, plan),
            lambda: pipeline(bench.world, source, bench.folder / "title"),
            swapped=turn % 2 == 1,
        )
        bench.say(", ".join(f"{item.cpu_s:.2f} s ({item.system_s:.2f} s in the kernel)" for item in both))
        theirs, ours = theirs.plus(both[0]), ours.plus(both[1])
    figures = (round(seconds / rounds, 2) for seconds in (theirs.cpu_s, ours.cpu_s, theirs.system_s, ours.system_s))
    names = [*(rung.name for rung in plan.video), *(track.name for track in plan.audio)]
    return Cost(source.description, names, plan.grid.frames, *figures)


def compare_chunks(bench: Bench, source: Source, made: EncodedTitle) -> tuple[list[Chunked], dict[str, Encoded]]:
    """Of each rung; and the scores of ours."""
    found, ours = [], {}
    for rung in made.plan.video:
        bench.say(f"chunks: scoring {rung.name}")
        ours[rung.name] = _score(bench, source, made, made.whole(rung.name), rung)
        whole = _score(bench, source, made, plain_output(bench, rung), rung)
        found.append(Chunked(rung.name, ours[rung.name].vmaf, whole.vmaf, ours[rung.name].bps, whole.bps))
    return found, ours


def _score(bench: Bench, source: Source, made: EncodedTitle, encode: Path, rung: VideoRendition) -> Encoded:
    assert made.info.video is not None
    return score(bench.world, source.path, made.info.video, encode, rung, bench.folder)


def curves(bench: Bench, source: Source, made: EncodedTitle, own: dict[str, Encoded], crfs: Sequence[int]) -> dict[str, list[Encoded]]:
    """Ours at other rate factors, everything else the same but for the bitrate caps, which are lifted."""
    found = {name: [encoded] for name, encoded in own.items()}
    for crf in crfs:
        bench.say(f"side by side: our ladder at rate factor {crf}")
        free = [replace(rung, crf=float(crf), maxrate_bps=40_000_000, bufsize_bits=60_000_000) for rung in made.plan.video]
        plain(bench, source, replace(made.plan, video=tuple(free), audio=()))
        for rung in free:
            found[rung.name].append(_score(bench, source, made, plain_output(bench, rung), rung))
    return found


def run_rival(bench: Bench, name: str, processes: Sequence[Process]) -> Rival:
    """One process after the other."""
    cpu_s, wall_s, first_s = 0.0, 0.0, 0.0
    for process in processes:
        bench.say(f"side by side: {name}, {process.rendition}")
        began_s = time.monotonic()
        cpu_s += run_plain(bench.world, process.arguments).cpu_s
        wall_s += time.monotonic() - began_s
        first_s = first_s or wall_s
    return Rival(name, round(cpu_s, 2), round(wall_s, 2), round(first_s, 2), [])


def side_by_side(bench: Bench, source: Source, made: EncodedTitle, curve: dict[str, list[Encoded]]) -> list[Rival]:
    rate = 8 * sum(packets(bench.world, source.path)) / float(made.info.duration)
    found = []
    ways = (
        ("PeerTube", peertube(source.path, rate, made.plan, bench.folder)),
        ("MediaCMS", mediacms(source.path, made.plan, bench.folder)),
    )
    for name, processes in ways:
        rival = run_rival(bench, name, processes)
        for process in processes:
            theirs = _score(bench, source, made, process.output, made.plan.rendition(process.rendition))
            rival.rungs.append(Compared(process.rendition, theirs.bps, theirs.vmaf, at_bitrate(curve[process.rendition], theirs.bps)))
        found.append(rival)
    return found


def measure_cascade(bench: Bench, source: Source, made: EncodedTitle, plain_cpu_s: float, chunked: Sequence[Chunked]) -> Scaled:
    bench.say("each rung from the next larger one")
    cascaded_s = plain(bench, source, made.plan, cascade=True)
    scores = [_score(bench, source, made, plain_output(bench, rung), rung) for rung in made.plan.video]
    lost = {item.rendition: round(item.vmaf - whole.whole_vmaf, 3) for item, whole in zip(scores, chunked, strict=True)}
    more = {item.rendition: round(item.bps / whole.whole_bps - 1, 4) for item, whole in zip(scores, chunked, strict=True)}
    return Scaled(round(cascaded_s / plain_cpu_s, 4), lost, more)


def measure_machine(bench: Bench, source: Source) -> tuple[Machine, Recording, Recording]:
    cores = len(os.sched_getaffinity(0))
    bench.say(f"the whole stack, a worker process for each of {cores} cores")
    both = record(bench.folder / "both", source.path, {"HEADWATER_WORKER_PROCESSES": str(cores)})
    bench.say("the whole stack, one worker on one core")
    one = record(bench.folder / "one", source.path, {"HEADWATER_WORKER_PROCESSES": "1"}, pinned=True)
    figures = Machine(
        source.description,
        cores,
        both.encode_s,
        one.encode_s,
        both.encode_cpu_s,
        one.encode_cpu_s,
        both.machine_busy,
        both.playable_s,
        both.ready_s,
    )
    return figures, both, one


def an_hour(made: EncodedTitle, recorded: Recording) -> Title:
    """A title of an hour with the steps that the flow would make, each as long as one like it was when it was recorded."""
    info = made.info
    assert info.video is not None
    end = Fraction(HOUR_S)
    keyframes = tuple(Fraction(second) for second in range(0, HOUR_S, 2))
    longer = replace(info, duration=end, video=replace(info.video, start=Fraction(0), end=end, keyframes=keyframes))
    longer = replace(longer, audio=tuple(replace(track, end=end) for track in info.audio))
    plan = make_plan(longer, "an hour", PlanOptions(), "encoder")
    chunks = [job for job in recorded.jobs if job.kind == ENCODE and job.weight > 5] or [job for job in recorded.jobs if job.kind == ENCODE]
    work, turn = [], 0
    for job in flow.encode_jobs("ast", plan):
        like = chunks[turn % len(chunks)] if job.kind == ENCODE else next(item for item in recorded.jobs if item.kind == job.kind)
        turn += job.kind == ENCODE
        work.append(Task(job.kind, job.weight * _wall_s(like) / like.weight, job.priority, job.weight))

    def step(kind: str, *, gate: bool = True) -> tuple[Task, ...]:
        found = [job for job in recorded.jobs if job.kind == kind]
        first, *others = sorted(found, key=_wall_s, reverse=True)  # of the opening: the pictures, and the sound
        return (Task(kind, _wall_s(first), first.priority), *(Task(kind, _wall_s(job), job.priority, gate=gate) for job in others))

    publish = min((job for job in recorded.jobs if job.kind == PUBLISH), key=_wall_s)
    last = (Task(publish.kind, _wall_s(publish), publish.priority),)
    return Title((step(PROBE), step(PLAN), step(SEGMENT, gate=False), tuple(work), last))


def _wall_s(job: JobRecord) -> float:
    return job.ended_s - job.began_s


def measure(bench: Bench, clip: Path | None, arguments: argparse.Namespace) -> Report:
    facts = about(bench.world)
    bench.say("making the sources")
    short = make_source(bench.world, clip, SIZE, arguments.seconds, bench.folder)
    (bench.folder / "long").mkdir()
    long = make_source(bench.world, clip, SIZE, arguments.long_seconds, bench.folder / "long")
    figures, both, one = measure_machine(bench, long)
    costs = measure_costs(bench, long, arguments.rounds)
    bench.say("the clip that is compared, our way and in one plain process")
    used, made = pipeline(bench.world, short, bench.folder / "title")
    plain_cpu_s = plain(bench, short, made.plan)
    chunked, own = compare_chunks(bench, short, made)
    cascade = measure_cascade(bench, short, made, plain_cpu_s, chunked)
    rivals = side_by_side(bench, short, made, curves(bench, short, made, own, arguments.crfs))
    scales = scale(an_hour(made, one), encoding_stage=3)
    return Report(
        facts,
        arguments.quick,
        costs,
        figures,
        Ours(short.description, round(used.cpu_s, 2)),
        chunked,
        rivals,
        cascade,
        list(scales),
        {"two": both.as_json(), "one": one.as_json()},
    )


def one_part(bench: Bench, console: Console, arguments: argparse.Namespace) -> bool:
    """Prints the comparison that `--only` names, and keeps it in the results beside the whole run, one for each source. True when every
    target is kept."""
    seconds = arguments.long_seconds if arguments.only == "cost" else arguments.seconds
    source = make_source(bench.world, arguments.clip, SIZE, seconds, bench.folder)
    if arguments.only == "cost":
        costs = measure_costs(bench, source, arguments.rounds)
        rows, measured = list(rows_of_costs(costs)), asdict(costs) | {"rounds": arguments.rounds}
    else:
        _, made = pipeline(bench.world, source, bench.folder / "title")
        plain(bench, source, made.plan)
        found, _ = compare_chunks(bench, source, made)
        rows, measured = list(rows_of_chunks(found)), {"chunks": [asdict(item) for item in found]}
    console.print(table_of(source.description, rows))
    about_it = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": about(bench.world)}
    results = json.loads(RESULTS.read_text())
    results.setdefault(f"{arguments.only}_alone", {})[source.description] = {**about_it, **measured}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    return all(row.kept is not False for row in rows)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="a real clip to make the sources from (default: HEADWATER_BENCH_CLIP, or a test picture)")
    parser.add_argument("--only", choices=("cost", "chunks"), help="this part alone")
    parser.add_argument("--rounds", type=int, help="of the cost, an even number; the mean of all counts")
    parser.add_argument("--quick", action="store_true", help="short clips, one round: the figures mean little")
    parser.add_argument("--seconds", type=int, help="length of the clip that is compared")
    parser.add_argument("--long-seconds", type=int, help="length of the title whose cost is measured, and that the whole stack makes")
    parser.add_argument("--keep", action="store_true", help="with --quick: write the results all the same")
    found = parser.parse_args()
    found.rounds, found.crfs = found.rounds or (1 if found.quick else 2), CRFS[1:3] if found.quick else CRFS
    found.seconds = found.seconds or (12 if found.quick else 30)
    found.long_seconds = found.long_seconds or (36 if found.quick else 120)
    named = os.environ.get("HEADWATER_BENCH_CLIP")
    found.clip = found.clip or (Path(named) if named else None)
    return found


def main() -> int:
    arguments, console = options(), Console()
    folder = Path(tempfile.mkdtemp(prefix="headwater-bench-ladder-"))
    try:
        began_s = time.monotonic()
        bench = Bench(world_without_servers(folder), folder, lambda text: console.print(f"{time.monotonic() - began_s:5.0f} s  {text} …"))
        if arguments.only:
            return 0 if one_part(bench, console, arguments) else 1
        report = measure(bench, arguments.clip, arguments)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    kept = show(console, report)
    if not arguments.quick or arguments.keep:
        RESULTS.parent.mkdir(exist_ok=True)
        whole = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "kept": kept, **asdict(report)}
        RESULTS.write_text(json.dumps(whole, indent=1) + "\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
