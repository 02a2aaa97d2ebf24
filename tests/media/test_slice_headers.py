"""How long slice headers are, in what our encoders write and in forms that are worse: what `cbcs` leaves clear of a slice must hold its
header (ISO/IEC 23001-7 section 9.5.2.5), and it is a fixed number of bytes (`media.cenc.CLEAR_BYTES`).

FFmpeg's own reader of headers ("trace_headers") says where each of them ends; nothing of ours has part in it. It cannot read the second
slice of a picture that x265 has cut in several, so H.264 stands for both there: such a header is longer by an address, two bytes or three.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from media.cenc import CLEAR_BYTES, coding, is_slice
from media.isobmff import read_fragments, split_init
from transcode.ffmpeg.encoders import encoder_options
from transcode.ladder import Size, rung_of
from transcode.profiles import FINE_H264, H264, HDR, HEVC, Encoder

LENGTH_BYTES = 4  # in front of each NAL unit in a sample
SECTIONS = ("Slice Header", "Slice Segment Header")
FIELD = re.compile(r"\] (\d+) +\S.*? +([01]+) = -?\d+$")
# Scenes that move, a fade to black and one to white: what has weighted references.
FILM = "testsrc2=size=256x144:rate=24:d=3,fade=out:24:20,fade=in:50:12:color=white,noise=alls=12:allf=t"
ALL_REFERENCES = "ref=16:bframes=16:b-adapt=2:b-pyramid=normal:weightp=2:weightb=1:keyint=120"
TAGS: Mapping[str, Mapping[str, str]] = {"libx264": {}, "libx265": {"tag:v": "hvc1"}}
OURS: Mapping[str, Encoder] = {"h264": H264, "archive": FINE_H264, "hevc": HEVC, "hdr": HDR}
WORSE: Mapping[str, tuple[str, str]] = {
    "h264, four slices": ("libx264", "slices=4:ref=4:weightp=2"),
    "h264, a slice for each packet": ("libx264", "slice-max-size=400:ref=4:weightp=2"),
    "h264, all references": ("libx264", ALL_REFERENCES),
    "hevc, many references": ("libx265", "pools=none:frame-threads=1:ref=6:bframes=8:weightb=1:log-level=error"),
}


def ffmpeg(*options: str) -> str:
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-nostats", "-y", *options]
    return subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120).stderr


def encoded(options: Mapping[str, Any], folder: Path, film: str = FILM) -> Path:
    target = folder / "film.mp4"
    words = [word for key, value in options.items() for word in (f"-{key}", str(value))]
    ffmpeg("-v", "error", "-f", "lavfi", "-i", film, *words, "-movflags", "+frag_keyframe+empty_moov+default_base_moof", str(target))
    return target


def header_bits(file: Path) -> Iterator[int]:
    """Of every slice, from the first bit of its NAL unit on, without emulation prevention."""
    end = None
    for line in ffmpeg("-i", str(file), "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-").splitlines():
        if (found := FIELD.search(line)) is not None:
            end = max(end, int(found[1]) + len(found[2])) if end is not None else None
        elif line.startswith("[trace_headers"):
            if end:
                yield end
            end = 0 if line.rpartition("] ")[2] in SECTIONS else None
    if end:
        yield end


def slices(file: Path) -> Iterator[bytes]:
    """The NAL units that are one."""
    data = file.read_bytes()
    about = coding(split_init(data)[0])
    for sample in (sample for fragment in read_fragments(data) for sample in fragment.samples):
        at = sample.offset
        while at < sample.offset + sample.size:
            size = int.from_bytes(data[at : at + LENGTH_BYTES])
            unit = data[at + LENGTH_BYTES : at + LENGTH_BYTES + size]
            at += LENGTH_BYTES + size
            if is_slice(unit[0], about):
                yield unit


def as_written(unit: bytes, size: int) -> int:
    """How many bytes of a NAL unit hold its first `size`, with the bytes put in that keep start codes out (7.4.1)."""
    at = zeros = 0
    while size:
        prevented = zeros >= 2 and unit[at] == 3
        size -= not prevented
        zeros = 0 if prevented or unit[at] else zeros + 1
        at += 1
    return at


def lengths(file: Path) -> list[int]:
    """Bytes of every slice that have to stay clear."""
    units, bits = list(slices(file)), list(header_bits(file))
    assert len(units) == len(bits) >= 24
    return [LENGTH_BYTES + as_written(unit, -(-end // 8)) for unit, end in zip(units, bits, strict=True)]


@pytest.mark.parametrize("name", OURS)
def test_what_is_clear_of_our_slices_holds_their_headers(name: str, tmp_path: Path) -> None:
    rung = rung_of(OURS[name], Size(256, 144), Fraction(24))
    found = lengths(encoded(encoder_options(rung, 48), tmp_path))
    assert max(found) <= CLEAR_BYTES / 2, max(found)


@pytest.mark.parametrize("name", WORSE)
def test_and_those_of_slices_that_are_worse_than_ours(name: str, tmp_path: Path) -> None:
    codec, params = WORSE[name]
    key = "x264-params" if codec == "libx264" else "x265-params"
    found = lengths(encoded({**TAGS[codec], "c:v": codec, "preset": "medium", key: params}, tmp_path))
    assert max(found) <= CLEAR_BYTES, max(found)


def test_a_header_that_is_too_long_would_be_seen(tmp_path: Path) -> None:
    """HEVC in rows that can be decoded at once lists where each begins; ours has none ("pools=none")."""
    film = "testsrc2=size=64x2160:rate=24:d=1,noise=alls=12:allf=t"
    params = "pools=1:wpp=1:ctu=16:frame-threads=1:log-level=error"
    assert (
        max(lengths(encoded({**TAGS["libx265"], "c:v": "libx265", "preset": "ultrafast", "x265-params": params}, tmp_path, film)))
        > CLEAR_BYTES
    )
