"""Static renditions: a rung and its sound in one file. MP4 is copied; WebM takes AV1 as it is, and has VP9 made of anything else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from kit.process import Command
from kit.sandbox import Confinement
from media.rendition import VideoRendition
from transcode.ffmpeg.run import BULK_NICE, ENCODE_MEMORY_BYTES, MIB, PLAIN, SMALL_MEMORY_BYTES, Stream, command_of, file_url

_DECODERS = {"h264": "h264", "hevc": "hevc", "av1": "libdav1d,av1"}
_COPY_BYTES_PER_S = 2 * MIB  # the slowest disk that we wait for
_ENCODE_S_PER_S = 30  # of a title: VP9 in real-time quality on one slow core
_OPUS_BPS_PER_CHANNEL = 64_000


@dataclass(frozen=True, slots=True)
class Parts:
    """The files that FFmpeg sees: the stored segments of a rung, and of its sound, joined."""

    rung: VideoRendition
    video: Path
    audio: Path | None
    channels: int
    duration_s: float
    out_dir: Path
    program: str

    @property
    def reads(self) -> tuple[Path, ...]:
        return (self.video,) if self.audio is None else (self.video, self.audio)


def mp4_command(parts: Parts, target: Path) -> Command:
    """The index comes first, so the file plays while it is being loaded. Nothing is encoded."""
    options = {"c": "copy", "movflags": "+faststart", **({"tag:v": "hvc1"} if parts.rung.codec == "hevc" else {})}
    return _command(parts, ffmpeg.output(*_inputs(parts), file_url(target), f="mp4", **options, **PLAIN), encodes=False)


def m4a_command(sound: Path, target: Path, duration_s: float, program: str) -> Command:
    """A track of sound alone, in the form that music players know. Nothing is encoded."""
    output = ffmpeg.output(_sound(sound), file_url(target), f="ipod", c="copy", movflags="+faststart", **PLAIN)
    return _confined(output, program, reads=(sound,), out_dir=target.parent, duration_s=duration_s, encodes=False)


def webm_command(parts: Parts, target: Path) -> Command:
    """With the cues first where there is room for them. The sound is Opus, which alone WebM may have beside Vorbis."""
    options: dict[str, Any] = {"cues_to_front": 1, "c:v": "copy"}
    if parts.rung.codec != "av1":
        options |= {
            "c:v": "libvpx-vp9", "deadline": "realtime", "cpu-used": 6, "row-mt": 1, "threads": 2, "crf": 34, "b:v": parts.rung.maxrate_bps,
            "g": 240, "fps_mode": "passthrough",
        }  # fmt: skip
    if parts.audio is not None:
        options |= {"c:a": "libopus", "b:a": parts.channels * _OPUS_BPS_PER_CHANNEL}
    return _command(parts, ffmpeg.output(*_inputs(parts), file_url(target), f="webm", **options, **PLAIN), encodes=True)


def _inputs(parts: Parts) -> list[Stream]:
    whitelist = {
        "protocol_whitelist": "file",
        "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2",
        "codec_whitelist": _DECODERS[parts.rung.codec],
    }
    found = [ffmpeg.input(file_url(parts.video), f="mp4", threads=1, **whitelist)["v:0"]]
    if parts.audio is not None:
        found.append(_sound(parts.audio))
    return found


def _sound(path: Path) -> Stream:
    whitelist = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2", "codec_whitelist": "aac"}
    return ffmpeg.input(file_url(path), f="mp4", **whitelist)["a:0"]


def _command(parts: Parts, output: Stream, *, encodes: bool) -> Command:
    return _confined(output, parts.program, reads=parts.reads, out_dir=parts.out_dir, duration_s=parts.duration_s, encodes=encodes)


def _confined(output: Stream, program: str, *, reads: tuple[Path, ...], out_dir: Path, duration_s: float, encodes: bool) -> Command:
    size_bytes = sum(path.stat().st_size for path in reads)
    confine = Confinement(
        reads=reads, writes=(out_dir,), memory_bytes=ENCODE_MEMORY_BYTES if encodes else SMALL_MEMORY_BYTES, cpu_s=0,
        file_bytes=2 * size_bytes + 64 * MIB, nice=BULK_NICE,
    )  # fmt: skip
    writing_s = size_bytes / _COPY_BYTES_PER_S  # the index is put first at the end, without a word of progress
    timeout_s = 120 + 2 * writing_s + (duration_s * _ENCODE_S_PER_S if encodes else 0)
    return command_of([output], program, confine, timeout_s=timeout_s, silent_s=writing_s)
