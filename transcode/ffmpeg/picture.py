"""Still pictures of a title."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import ffmpeg

from kit.process import Command
from transcode.colour import conversion
from transcode.ffmpeg.run import ENCODE_MEMORY_BYTES, PLAIN, SCALER, Work, chain, command_of, confinement, file_url, pictures_of
from transcode.plan import poster_size


def poster_command(work: Work, times: Sequence[Fraction]) -> Command:
    """The picture at each of `times` (source time, keyframes), to `out_dir`/poster-<n>.jpg. JPEG is BT.601 in full range (JFIF)."""
    video = work.video
    width, height = poster_size(work.plan)
    outputs = []
    for index, time in enumerate(times):
        picture = pictures_of(work, time)
        picture = chain(picture.filter("trim", end_frame=1), conversion(video))
        picture = picture.filter("scale", width, height, flags=SCALER, out_color_matrix="bt601", out_range="pc")
        picture = picture.filter("setsar", 1).filter("format", "yuvj420p")
        target = file_url(work.out_dir / f"poster-{index}.jpg")
        still = {"c:v": "mjpeg", "q:v": 3, "color_range": "pc", "fps_mode": "passthrough", "update": 1}
        outputs.append(ffmpeg.output(picture, target, f="image2", **still, **PLAIN, **{"flags:v": "+bitexact"}))
    return command_of(outputs, work.program, confinement(work, ENCODE_MEMORY_BYTES), timeout_s=120 + 20 * len(times))
