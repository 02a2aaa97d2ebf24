"""The clips that the chaos run sends: of several kinds, as small as they can be, the same bytes on every run of one FFmpeg."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Clip:
    name: str
    path: Path
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Kind:
    suffix: str
    size: str
    rate: int
    seconds: float
    sound: bool
    options: tuple[str, ...] = ()
    padding_bytes: int = 0


_FAST = ("-movflags", "+faststart")
KINDS = {
    "film": _Kind(".mp4", "160x90", 12, 2.0, sound=True),
    "silent": _Kind(".mp4", "160x90", 12, 1.0, sound=False),
    "matroska": _Kind(".mkv", "96x160", 10, 1.5, sound=True),
    "segments": _Kind(".mp4", "128x72", 5, 13.0, sound=True, options=_FAST),  # three segments, three chunks
    # Larger than a part: a multipart upload of two parts. The first comes with its index in front, so work begins while it arrives.
    "early": _Kind(".mp4", "160x90", 12, 1.5, sound=True, options=_FAST, padding_bytes=9 * MIB),
    "work": _Kind(".mp4", "640x360", 24, 60.0, sound=True),  # enough of it to be killed at
    "late": _Kind(".mp4", "160x90", 12, 1.5, sound=False, padding_bytes=9 * MIB),
}


STREAM = tuple(name for name in KINDS if name != "work")


def make(folder: Path, names: Sequence[str]) -> tuple[Clip, ...]:
    """The clips of these kinds."""
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_made(folder, name, KINDS[name]) for name in names)


def _made(folder: Path, name: str, kind: _Kind) -> Clip:
    path = folder / f"{name}{kind.suffix}"
    picture = f"testsrc2=size={kind.size}:rate={kind.rate}:duration={kind.seconds}"
    sound = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={kind.seconds}") if kind.sound else ()
    argv = (
        imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", picture, *sound,
        "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-g", "24", "-pix_fmt", "yuv420p", "-fflags", "+bitexact",
        *kind.options,
        *(("-c:a", "aac", "-b:a", "32k", "-ac", "2") if kind.sound else ()), str(path),
    )  # fmt: skip
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=120)
    if kind.padding_bytes:
        with path.open("ab") as file:  # a box that players skip: ISO/IEC 14496-12, 8.1.2
            file.write((8 + kind.padding_bytes).to_bytes(4, "big") + b"free" + random.Random(name).randbytes(kind.padding_bytes))
    data = path.read_bytes()
    return Clip(name, path, len(data), hashlib.sha256(data).hexdigest())
