"""The init segments of all renditions, made before anything else is."""

from __future__ import annotations

from pathlib import Path

from kit.process import Command
from kit.sandbox import Confinement
from media.grid import AAC_FRAME_SAMPLES, AUDIO_RATE_HZ
from media.plan import EncodePlan
from transcode.colour import BT709
from transcode.ffmpeg.audio import audio_output
from transcode.ffmpeg.run import ENCODE_MEMORY_BYTES, MIB, chain, command_of, generated
from transcode.ffmpeg.video import rung_output

INIT_FRAMES = 4


def init_command(plan: EncodePlan, out_dir: Path, program: str) -> Command:
    """A few grey frames and a moment of silence through the encoders of every rendition, each to `out_dir`/<name>.mp4.

    Nothing in the headers depends on content, so these are the init segments of the real thing (`transcode.verify` compares).
    """
    outputs = []
    for rung in plan.video:
        grey = generated(f"color=gray:size={rung.width}x{rung.height}:rate={rung.frame_rate}")
        grey = chain(grey.filter("trim", end_frame=INIT_FRAMES).filter("format", "yuv420p").filter("setsar", 1), (BT709,))
        outputs.append(rung_output(grey, rung, plan, out_dir / f"{rung.name}.mp4"))
    for track in plan.audio:
        silence = generated(f"anullsrc=r={AUDIO_RATE_HZ}:cl=stereo").filter("atrim", end_sample=INIT_FRAMES * AAC_FRAME_SAMPLES)
        outputs.append(audio_output(silence, track, out_dir))
    return command_of(
        outputs, program, Confinement(writes=(out_dir,), memory_bytes=ENCODE_MEMORY_BYTES, cpu_s=120, file_bytes=MIB), timeout_s=120
    )
