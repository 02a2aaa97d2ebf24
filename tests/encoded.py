"""Whole titles made by the real commands of `transcode`, without a queue, a database or a store.

    title = encode(world, clip, folder)
    title.whole("480p")   # a playable file: the init segment and all media segments

What a worker does in many jobs is done here in one process, in the order in which it would be done: the opening (the first segment of the
lowest rung) alone, then one chunk after another without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.probe import probe
from kit import tools
from kit.process import Command, Completed
from kit.world import World
from media.info import MediaInfo
from media.plan import EncodePlan
from media.segments import MeasuredSegment
from transcode.cut import AudioCutter, Segment, video_segment
from transcode.ffmpeg.audio import audio_command
from transcode.ffmpeg.headers import init_commands
from transcode.ffmpeg.run import Work
from transcode.ffmpeg.video import encode_command, segment_path
from transcode.plan import PlanOptions, make_plan
from transcode.plan import runs as parts
from transcode.verify import check_audio_init, check_same_init, check_video, check_video_init


@dataclass(frozen=True)
class EncodedTitle:
    info: MediaInfo
    plan: EncodePlan
    folder: Path
    inits: Mapping[str, bytes]
    segments: Mapping[str, Sequence[Segment]]
    runs: Sequence[Completed]

    @property
    def names(self) -> list[str]:
        return list(self.segments)

    def measured(self, name: str) -> list[MeasuredSegment]:
        return [segment for segment, _ in self.segments[name]]

    def whole(self, name: str) -> Path:
        path = self.folder / f"whole-{name}.mp4"
        path.write_bytes(b"".join([self.inits[name], *(data for _, data in self.segments[name])]))
        return path


def run(world: World, command: Command) -> Completed:
    done = world.runner.run(command, on_line=lambda _: None)
    assert done.exit_code == 0, f"{command}\n{done.stderr.decode(errors='replace')}"
    return done


def as_planned(plan: EncodePlan) -> EncodePlan:
    return plan


def encode(
    world: World,
    source: Path,
    folder: Path,
    options: PlanOptions | None = None,
    *,
    reshape: Callable[[EncodePlan], EncodePlan] = as_planned,
    info: MediaInfo | None = None,
) -> EncodedTitle:
    """Probe (unless it is known), plan, encode, verify and cut `source`. `reshape` may turn the plan into another one first."""
    folder.mkdir(parents=True, exist_ok=True)
    info = info or probe(world, source)
    program = tools.ffmpeg(world.settings)
    plan = reshape(make_plan(info, "source", options or PlanOptions(), "encoder"))
    runs = [run(world, command) for command in init_commands(plan, folder, program)]
    inits = {rung.name: check_video_init((folder / f"{rung.name}.mp4").read_bytes(), rung, plan) for rung in plan.video}
    inits |= {track.name: check_audio_init((folder / f"{track.name}.mp4").read_bytes(), track) for track in plan.audio}
    work = Work(plan, info, source, folder, program, huge_pages=world.settings.huge_pages)
    segments: dict[str, list[Segment]] = {name: [] for name in inits}
    for name, made in _video(world, work, inits, runs):
        segments[name] += made
    for track in plan.audio:
        runs.append(run(world, audio_command(work, track)))
        data = (folder / f"{track.name}.mp4").read_bytes()
        media = check_same_init(data, track.name, hashlib.sha256(inits[track.name]).hexdigest())
        cutter = AudioCutter(plan, track)
        segments[track.name] = list(cutter.take(data[media:]))
        cutter.finish()
    return EncodedTitle(info, plan, folder, inits, segments, runs)


def _video(world: World, work: Work, inits: Mapping[str, bytes], runs: list[Completed]) -> Iterator[tuple[str, list[Segment]]]:
    opening: dict[str, Sequence[int]] = {rung.name: range(1) for rung in work.plan.video[:1]}
    rest = [_without(opening, chunk.of(group)) for chunk in work.plan.chunks for group in work.plan.groups]
    for wanted in [part for some in (opening, *rest) for part in parts(work.plan, some)]:
        runs.append(run(world, encode_command(work, wanted)))
        for name, indexes in wanted.items():
            yield name, [video(work, inits[name], name, index) for index in indexes]


def _without(made: Mapping[str, Sequence[int]], wanted: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
    left: dict[str, Sequence[int]] = {
        name: [index for index in indexes if index not in made.get(name, ())] for name, indexes in wanted.items()
    }
    return {name: indexes for name, indexes in left.items() if indexes}


def video(work: Work, init: bytes, name: str, index: int) -> Segment:
    """The segment that an `encode_command` has written, verified and cut."""
    data = segment_path(work.out_dir, name, index).read_bytes()
    rung = work.plan.rendition(name)
    fragments = check_video(data, work.plan, rung, index, init_sha256=hashlib.sha256(init).hexdigest())
    return video_segment(data, fragments, work.plan, rung, index)
