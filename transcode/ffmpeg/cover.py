"""The poster of sound without pictures: its cover, or bars that are drawn from the digest of the source.

JPEG is BT.601 in full range (JFIF).
"""

from __future__ import annotations

import hashlib
from colorsys import hsv_to_rgb

from kit.process import Command
from media import accepted
from media.info import CoverPicture
from transcode.ffmpeg.picture import jpeg, poster_path
from transcode.ffmpeg.run import SCALER, SMALL_MEMORY_BYTES, Stream, Work, command_of, confinement, generated, still_of

COVER_SIDE = 1280  # the longer side, at most
PLAIN_WIDTH, PLAIN_HEIGHT = 1280, 720
_BARS, _BAR_WIDTH, _BAR_STEP, _LOWEST_BAR = 32, 20, 32, 40
_COVER_MEMORY_BYTES = 3 * SMALL_MEMORY_BYTES  # of the largest picture that may be decoded, in three forms


def cover_command(work: Work, cover: CoverPicture) -> Command:
    """The cover, never enlarged, to `poster_path` 0."""
    picture = still_of(work, cover.index, accepted.PICTURE_CODECS[cover.codec]).filter("trim", end_frame=1)
    fit = {"force_original_aspect_ratio": "decrease", "force_divisible_by": 2}
    sides = f"min({COVER_SIDE},max(2,iw))", f"min({COVER_SIDE},max(2,ih))"
    picture = picture.filter("scale", *sides, flags=SCALER, out_color_matrix="bt601", out_range="pc", **fit)
    return _drawn(work, picture.filter("setsar", 1).filter("format", "yuvj420p"), _COVER_MEMORY_BYTES)


def plain_command(work: Work) -> Command:
    """Bars on a dark ground, to `poster_path` 0. The same source has the same ones."""
    digest = hashlib.sha256(work.plan.source_digest.encode()).digest()[: _BARS // 2]
    hue = digest[0] / 256
    picture = generated(f"color={_colour(hue, 0.35, 0.16)}:size={PLAIN_WIDTH}x{PLAIN_HEIGHT}:rate=1").filter("trim", end_frame=1)
    left = (PLAIN_WIDTH - _BARS * _BAR_STEP + _BAR_STEP - _BAR_WIDTH) // 2
    for place, level in enumerate(_levels(digest)):
        height = _LOWEST_BAR + round(level * (PLAIN_HEIGHT // 2 - _LOWEST_BAR)) // 2 * 2
        box = {"x": left + place * _BAR_STEP, "y": (PLAIN_HEIGHT - height) // 2, "w": _BAR_WIDTH, "h": height}
        picture = picture.filter("drawbox", **box, color=_colour(hue, 0.55, 0.78), t="fill")
    picture = picture.filter("scale", PLAIN_WIDTH, PLAIN_HEIGHT, flags=SCALER, out_color_matrix="bt601", out_range="pc")
    return _drawn(work, picture.filter("setsar", 1).filter("format", "yuvj420p"), SMALL_MEMORY_BYTES)


def _levels(digest: bytes) -> list[float]:
    """From 0 to 1, one for each bar: high in the middle, as sound often is."""
    halves = [half / 15 for byte in digest for half in (byte >> 4, byte & 15)]
    return [level * (1 - abs(2 * place / (len(halves) - 1) - 1) ** 2 * 0.8) for place, level in enumerate(halves)]


def _colour(hue: float, saturation: float, value: float) -> str:
    red, green, blue = (round(255 * part) for part in hsv_to_rgb(hue, saturation, value))
    return f"0x{red:02x}{green:02x}{blue:02x}"


def _drawn(work: Work, picture: Stream, memory_bytes: int) -> Command:
    output = jpeg(picture, poster_path(work.out_dir, 0), quality=3)
    return command_of([output], work.program, confinement(work, memory_bytes), timeout_s=120)
