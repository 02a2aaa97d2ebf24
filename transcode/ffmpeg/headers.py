"""The init segments of all renditions, made before anything else is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kit.process import Command
from kit.sandbox import Confinement
from media.grid import AUDIO_RATE_HZ
from media.plan import EncodePlan
from media.rendition import AudioRendition, VideoRendition
from transcode.ffmpeg.audio import LAYOUTS, audio_output
from transcode.ffmpeg.run import ENCODE_MEMORY_BYTES, MIB, Stream, command_of, generated
from transcode.ffmpeg.video import finish, rung_output
from transcode.plan import runs

INIT_FRAMES = 4


def init_commands(plan: EncodePlan, out_dir: Path, program: str, only: str | None = None) -> tuple[Command, ...]:
    """A few grey frames and a moment of silence through the encoders of every rendition, or of `only` one, each to `out_dir`/<name>.mp4.

    Nothing in the headers depends on content, so these are the init segments of the real thing (`transcode.verify` compares). The sound
    and the H.264 rungs, whose encoders are small, need one run; the others as many as their encoders' memory asks for.
    """
    rungs = [rung for rung in plan.video if only in (None, rung.name)]
    small = [rung for rung in rungs if rung.codec == "h264"]
    parts = runs(plan, {rung.name: (0,) for rung in rungs if rung not in small})
    sound = [track for track in plan.audio if only in (None, track.name)]
    first = (_command(plan, small, sound, out_dir, program),) if small or sound else ()
    return (*first, *(_command(plan, [plan.rendition(name) for name in part], [], out_dir, program) for part in parts))


def _command(plan: EncodePlan, rungs: Sequence[VideoRendition], sound: Sequence[AudioRendition], out_dir: Path, program: str) -> Command:
    outputs = []
    for rung in rungs:
        grey = generated(f"color=gray:size={rung.width}x{rung.height}:rate={rung.frame_rate}")
        grey = finish(grey.filter("trim", end_frame=INIT_FRAMES), rung)
        outputs.append(rung_output(grey, rung, plan, out_dir / f"{rung.name}.mp4"))
    silence = _silence(sound)
    outputs += [audio_output(silence[track.name], track, out_dir) for track in sound]
    return command_of(
        outputs, program, Confinement(writes=(out_dir,), memory_bytes=ENCODE_MEMORY_BYTES, cpu_s=120, file_bytes=MIB), timeout_s=120
    )


def _silence(tracks: Sequence[AudioRendition]) -> dict[str, Stream]:
    """A moment of it for each of these, by name."""
    found: dict[str, Stream] = {}
    for form in dict.fromkeys((track.channels, track.frame_samples) for track in tracks):
        names = [track.name for track in tracks if (track.channels, track.frame_samples) == form]
        channels, frame_samples = form
        silence = generated(f"anullsrc=r={AUDIO_RATE_HZ}:cl={LAYOUTS[channels]}").filter("atrim", end_sample=INIT_FRAMES * frame_samples)
        copies = silence.filter_multi_output("asplit", len(names)) if len(names) > 1 else [silence]
        found |= {name: copies[place] for place, name in enumerate(names)}
    return found
