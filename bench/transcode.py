"""What the pipeline costs beyond plain FFmpeg: `make bench-transcode`.

Whole-ladder CPU seconds (user + system, of our process and all it starts) of the pipeline: probe, init segments, every chunk of every
group, audio, verification, cutting and hashing. Divided by those of

- one plain FFmpeg process that decodes once, splits, scales and encodes the same rungs with the same encoder settings (target 1.10);
- one such process for each rung, which is what platforms do that know no groups.

Twice: as titles are planned, and with the lowest rung made to its end first (`HEADWATER_LOWEST_RUNG_FIRST`). That one is shown against the
target too, but does not decide the exit code.

The plain processes make all sound renditions of the plan too.

The source is a real clip, scaled with film grain (`--clip` or HEADWATER_BENCH_CLIP), or else a test picture with grain. Runs
alternate, and each figure is the least of its rounds, because other work on the machine only adds.

Then 2160p with all five rungs in one process for each chunk: peak memory of the encoder and of the worker that reads its output (limit
3 GiB together), and its ratio too. Storing objects is not measured: `make bench-origin` and the store's own figures say that.
Writes bench/results/transcode.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import machine
from kit import tools
from kit.huge_pages import from_huge_pages
from kit.process import Command, Completed
from kit.world import World
from media.plan import EncodePlan
from media.rendition import VideoRendition
from tests.encoded import EncodedTitle, as_planned, encode
from tests.media.conftest import world_without_servers

TARGET, GOAL = 1.10, 1.03
MEMORY_LIMIT_BYTES = 3 << 30
GRAIN = "noise=alls=4:allf=t"
RESULTS = Path(__file__).parent / "results" / "transcode.json"


@dataclass(frozen=True, slots=True)
class Source:
    """What is encoded, and in words how it was made."""

    path: Path
    description: str


@dataclass(frozen=True, slots=True)
class Ratios:
    """CPU seconds of each way, the least of all rounds."""

    source: str
    rungs: tuple[str, ...]
    frames: int
    plain_cpu_s: float
    per_rung_cpu_s: float
    planned_cpu_s: float
    early_cpu_s: float

    @property
    def rows(self) -> list[tuple[str, float]]:
        return [
            ("as planned ÷ one plain FFmpeg process", self.planned_cpu_s / self.plain_cpu_s),
            ("lowest rung first ÷ one plain FFmpeg process", self.early_cpu_s / self.plain_cpu_s),
            ("as planned ÷ one FFmpeg process for each rung", self.planned_cpu_s / self.per_rung_cpu_s),
        ]


@dataclass(frozen=True, slots=True)
class Large:
    """A title of 2160p that is long enough for a chunk as large as they are planned."""

    source: str
    rungs: tuple[str, ...]
    encoder_peak_bytes: int
    worker_peak_bytes: int
    planned_cpu_s: float
    plain_cpu_s: float


def make_source(world: World, clip: Path | None, size: str, seconds: int, folder: Path) -> Source:
    """A source of this size, as a camera or an editor would deliver it."""
    path = folder / f"source-{size}.mp4"
    grain = f"scale={size.replace('x', ':')}:flags=lanczos,setsar=1,{GRAIN}"
    if clip is None:
        pictures = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=24", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
        description = f"test picture and tone, {size}, 24 frames per second, film grain"
    else:
        pictures = ["-stream_loop", "-1", "-i", f"file:{clip}"]
        description = f"{clip.name} scaled to {size}, film grain"
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k"]
    run_plain(world, [*pictures, "-vf", grain, *encoder, "-t", str(seconds), str(path)])
    return Source(path, f"{description}, {seconds} s, {path.stat().st_size * 8 / seconds / 1e6:.1f} Mbit/s")


def run_plain(world: World, arguments: Sequence[str]) -> Completed:
    argv = (tools.ffmpeg(world.settings), "-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-y", *arguments)
    command = Command(argv, timeout_s=3600)
    done = world.runner.run(from_huge_pages(command) if world.settings.huge_pages else command)
    if done.exit_code != 0:
        raise SystemExit(done.stderr.decode(errors="replace"))
    return done


def plain_rung(rung: VideoRendition, plan: EncodePlan, folder: Path) -> list[str]:
    """The same encoder settings as the pipeline's, in an ordinary MP4."""
    gop = str(plan.grid.gop_frames)
    return [
        *("-c:v", "libx264", "-preset", rung.preset, "-threads", str(rung.threads), "-profile:v", "high", "-pix_fmt", "yuv420p"),
        *(
            "-level",
            f"{rung.level_idc / 10}",
            "-crf",
            f"{rung.crf:g}",
            "-maxrate",
            str(rung.maxrate_bps),
            "-bufsize",
            str(rung.bufsize_bits),
        ),
        *("-g", gop, "-keyint_min", gop, "-sc_threshold", "0"),
        *("-x264-params", "stitchable=1:open-gop=0:cpu-independent=1:force-cfr=1:b-pyramid=none", str(folder / f"plain-{rung.name}.mp4")),
    ]


def plain_audio(plan: EncodePlan, folder: Path) -> list[str]:
    """Every rendition of sound that the plan has, with the same number of channels and bitrate."""
    arguments: list[str] = []
    for track in plan.audio:
        arguments += ["-map", f"0:{track.source_index}", "-c:a", "aac", "-ac", str(track.channels), "-ar", str(track.sample_rate_hz)]
        arguments += ["-b:a", str(track.bitrate_bps), str(folder / f"plain-{track.name}.mp4")]
    return arguments


def plain_ladder(world: World, source: Source, plan: EncodePlan, folder: Path) -> float:
    """CPU seconds of one process for everything."""
    copies = "".join(f"[a{index}]" for index in range(len(plan.video)))
    chains = [f"[a{index}]scale={rung.width}:{rung.height}[v{index}]" for index, rung in enumerate(plan.video)]
    graph = ";".join([f"[0:v:0]split={len(plan.video)}{copies}", *chains])
    outputs: list[str] = []
    for index, rung in enumerate(plan.video):
        outputs += ["-map", f"[v{index}]", *plain_rung(rung, plan, folder)]
    arguments = ["-i", str(source.path), "-filter_complex", graph, *outputs, *plain_audio(plan, folder)]
    return run_plain(world, arguments).cpu_s


def plain_rungs(world: World, source: Source, plan: EncodePlan, folder: Path) -> float:
    """CPU seconds of one process for each rung, and one for the audio."""
    start = ["-i", str(source.path)]
    cpu_s = run_plain(world, [*start, *plain_audio(plan, folder)]).cpu_s if plan.audio else 0.0
    for rung in plan.video:
        scaled = ["-map", "0:v:0", "-vf", f"scale={rung.width}:{rung.height}"]
        cpu_s += run_plain(world, [*start, *scaled, *plain_rung(rung, plan, folder)]).cpu_s
    return cpu_s


@dataclass(frozen=True, slots=True, order=True)
class Spent:
    """Processor seconds of our process and of all that it has started and seen end. In order of their sum."""

    cpu_s: float
    system_s: float  # of these, in the kernel: mostly for memory that is used for the first time

    def plus(self, other: Spent) -> Spent:
        return Spent(self.cpu_s + other.cpu_s, self.system_s + other.system_s)

    def since(self, earlier: Spent) -> Spent:
        return Spent(self.cpu_s - earlier.cpu_s, self.system_s - earlier.system_s)


def spent() -> Spent:
    """So far."""
    ours, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    system_s = ours.ru_stime + theirs.ru_stime
    return Spent(ours.ru_utime + theirs.ru_utime + system_s, system_s)


def pipeline(
    world: World, source: Source, folder: Path, reshape: Callable[[EncodePlan], EncodePlan] = as_planned
) -> tuple[Spent, EncodedTitle]:
    before = spent()
    made = encode(world, source.path, folder, reshape=reshape)
    return spent().since(before), made


def lowest_first(plan: EncodePlan) -> EncodePlan:
    names = tuple(rung.name for rung in plan.video)
    return replace(plan, groups=(names[:1], names[1:]) if len(names) > 1 else (names,))


def at_once(plan: EncodePlan) -> EncodePlan:
    return replace(plan, groups=(tuple(rung.name for rung in plan.video),))


def measure(world: World, source: Source, folder: Path, rounds: int, say: Callable[[str], None]) -> Ratios:
    times: dict[str, list[float]] = {"plain": [], "planned": [], "early": [], "per rung": []}
    _, made = pipeline(world, source, folder)  # a first round that does not count: files and programs are in memory afterwards
    for turn in range(rounds):
        say(f"{source.path.name}: round {turn + 1} of {rounds}")
        times["plain"].append(plain_ladder(world, source, made.plan, folder))
        times["planned"].append(pipeline(world, source, folder)[0].cpu_s)
        times["early"].append(pipeline(world, source, folder, lowest_first)[0].cpu_s)
        if turn == 0:
            times["per rung"].append(plain_rungs(world, source, made.plan, folder))
    rungs = tuple(rung.name for rung in made.plan.video)
    least = {name: round(min(values), 2) for name, values in times.items()}
    return Ratios(source.description, rungs, made.plan.grid.frames, least["plain"], least["per rung"], least["planned"], least["early"])


def measure_large(world: World, source: Source, folder: Path, say: Callable[[str], None]) -> Large:
    say(f"{source.path.name}: all rungs at once")
    planned, made = pipeline(world, source, folder, at_once)
    plain = plain_ladder(world, source, made.plan, folder)
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rungs = tuple(rung.name for rung in made.plan.video)
    return Large(source.description, rungs, max(run.peak_rss_bytes for run in made.runs), ours, round(planned.cpu_s, 2), round(plain, 2))


def about(world: World) -> dict[str, str]:
    """The machine, and the encoder that it has."""
    return machine(ffmpeg=tools.encoder_version(world.runner, tools.ffmpeg(world.settings)))


def show(console: Console, facts: dict[str, str], ratios: Ratios, large: Large) -> bool:
    """Prints the tables. True when every limit is kept."""
    where = Table(title="Machine", show_header=False)
    for name, value in facts.items():
        where.add_row(name, value)
    table = Table(title=f"{ratios.source}; {', '.join(ratios.rungs)}; {ratios.frames} frames")
    for name in ("CPU seconds", "", "target", ""):
        table.add_column(name, justify="right" if name != "CPU seconds" else "left")
    for name, spent in (("one plain FFmpeg process", ratios.plain_cpu_s), ("one FFmpeg process for each rung", ratios.per_rung_cpu_s),
                        ("pipeline as planned", ratios.planned_cpu_s), ("pipeline, lowest rung first", ratios.early_cpu_s)):  # fmt: skip
        table.add_row(name, f"{spent:.2f} s", "", "")
    kept = True
    for name, ratio in ratios.rows:
        target = TARGET if "plain" in name else None
        kept &= target is None or ratio <= target or "lowest rung" in name  # that one is a choice
        verdict = "" if target is None else "kept" if ratio <= target else "missed"
        table.add_row(name, f"{ratio:.3f}", "" if target is None else f"≤ {target:.2f} (goal {GOAL:.2f})", verdict)
    peak = large.encoder_peak_bytes + large.worker_peak_bytes
    big = Table(title=f"{large.source}; {', '.join(large.rungs)}")
    for name in ("all rungs of a chunk in one process", "", "limit", ""):
        big.add_column(name)
    big.add_row("peak memory, encoder", f"{large.encoder_peak_bytes / 2**30:.2f} GiB", "", "")
    big.add_row("peak memory, worker", f"{large.worker_peak_bytes / 2**30:.2f} GiB", "", "")
    fits = peak < MEMORY_LIMIT_BYTES
    big.add_row("together", f"{peak / 2**30:.2f} GiB", f"< {MEMORY_LIMIT_BYTES / 2**30:.0f} GiB", "kept" if fits else "missed")
    ratio = large.planned_cpu_s / large.plain_cpu_s
    big.add_row("CPU ÷ one plain FFmpeg process", f"{ratio:.3f}", f"≤ {TARGET:.2f}", "kept" if ratio <= TARGET else "missed")
    for item in (where, table, big):
        console.print(item)
    return kept and fits and ratio <= TARGET


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="a real clip to make the sources from (default: HEADWATER_BENCH_CLIP, or a test picture)")
    parser.add_argument("--seconds", type=int, default=30, help="length of both sources")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    named = os.environ.get("HEADWATER_BENCH_CLIP")
    clip = arguments.clip or (Path(named) if named else None)
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="headwater-bench-transcode-"))
    try:
        world = world_without_servers(folder)
        facts = about(world)
        console.print("making the sources …")
        source = make_source(world, clip, "1920x1080", arguments.seconds, folder)
        ratios = measure(world, source, folder / "hd", arguments.rounds, console.print)
        large = measure_large(world, make_source(world, clip, "3840x2160", arguments.seconds, folder), folder / "uhd", console.print)
    finally:
        shutil.rmtree(folder)
    kept = show(console, facts, ratios, large)
    RESULTS.parent.mkdir(exist_ok=True)
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": facts,
        "kept": kept,
        "ratios": asdict(ratios),
        "large": asdict(large),
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
