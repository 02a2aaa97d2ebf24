"""Clips that carry captions of line 21: inside the pictures of several codecs, and as a track of QuickTime.

The user data of the first is written by `tests.line21`; FFmpeg reads it from there and writes it again for the other codecs.
"""

from __future__ import annotations

from pathlib import Path

from tests import line21
from tests.clip_recipes import AAC, X264, Workshop, picture, recipe, tone
from tests.line21 import EDM, ENM, EOC, ITALIC, NOTE, RCL, row, timed, twice, words

RATE, SECONDS, FRAMES = "30000/1001", 8, 240
_POP_ON = [*twice(RCL, ENM, row(14, 4)), *words("Good"), *twice(NOTE), *words(" evening,"), *twice(row(15), ITALIC), *words("friends")]
_ROLL_UP = [*twice((0x15, 0x25), (0x15, 0x2D), row(15)), *words("Buenas tardes")]

# By frame: one caption from 50 to 110 and one at the top from 150 to 200; in field 2 a line from 66 to 180.
FIRST = timed(
    *((10, _POP_ON), (50, twice(EOC)), (60, [*twice(RCL, ENM, row(1)), *words("[Door]")])),
    *((110, twice(EDM)), (150, twice(EOC)), (200, twice(EDM))),
)
SECOND = timed((60, _ROLL_UP), (180, [(0x15, 0x2C)] * 2))
CC1 = [(50, 110, "Good♪ evening,\n<i>friends</i>", ""), (150, 200, "[Door]", "line:5%")]
CC3 = [(66, 180, "Buenas tardes", "")]


def _raw(shop: Workshop, packets: dict[int, bytes], frames: int = FRAMES) -> Path:
    """H.264 with these packets by picture, and nothing else."""
    bare, carrying = shop.out.with_name("bare.h264"), shop.out.with_name("carrying.h264")
    inputs = picture(rate=RATE, seconds=frames * 1001 / 30000)
    shop.ffmpeg(*inputs, *X264, "-bf", "0", "-bsf:v", "h264_metadata=aud=insert", "-f", "h264", str(bare))
    carrying.write_bytes(line21.with_captions(bare.read_bytes(), packets))
    return carrying


def _both_fields() -> dict[int, bytes]:
    blank = (0, 0)
    return {number: line21.constructs((FIRST.get(number, blank),), (SECOND.get(number, blank),)) for number in range(FRAMES)}


def _encoded(shop: Workshop, *options: str) -> None:
    source = _raw(shop, _both_fields())
    shop.ffmpeg("-framerate", RATE, "-i", str(source), *tone(SECONDS), *options, *AAC, "-shortest", str(shop.out))


@recipe("captions")
def _captions(shop: Workshop) -> None:
    """H.264 whose pictures are stored in another order than they are shown."""
    _encoded(shop, *X264, "-bf", "2", "-a53cc", "1")


@recipe("captions-mpeg2", ".ts")
def _captions_mpeg2(shop: Workshop) -> None:
    """MPEG-2 in a transport stream, whose clock begins at 1.4 s."""
    _encoded(shop, "-c:v", "mpeg2video", "-bf", "2", "-g", "15", "-q:v", "6")


@recipe("captions-hevc")
def _captions_hevc(shop: Workshop) -> None:
    x265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "pools=1:bframes=2:log-level=error", "-tag:v", "hvc1")
    _encoded(shop, *x265, "-a53cc", "1")


@recipe("captions-late")
def _captions_late(shop: Workshop) -> None:
    """Nothing in the first five seconds says that there are captions."""
    text = timed((200, [*twice(RCL, row(15)), *words("Late")]), (210, twice(EOC)), (230, twice(EDM)))
    source = _raw(shop, {number: line21.constructs((text.get(number, (0, 0)),)) for number in range(200, FRAMES)})
    shop.ffmpeg("-framerate", RATE, "-i", str(source), "-c", "copy", str(shop.out))


@recipe("captions-digital")
def _captions_digital(shop: Workshop) -> None:
    """CEA-708 only: a packet of one service in each picture, and nothing of line 21."""
    source = _raw(shop, dict.fromkeys(range(60), b"\xff\x02\x21\xfe\x41\x00"), 60)
    shop.ffmpeg("-framerate", RATE, "-i", str(source), "-c", "copy", str(shop.out))


@recipe("captions-empty")
def _captions_empty(shop: Workshop) -> None:
    """The carrier, and nothing in it."""
    source = _raw(shop, dict.fromkeys(range(60), line21.constructs()), 60)
    shop.ffmpeg("-framerate", RATE, "-i", str(source), "-c", "copy", str(shop.out))


@recipe("captions-mxf", ".mxf")
def _captions_mxf(shop: Workshop) -> None:
    """Captions in a stream of ancillary data, as broadcasters exchange them."""
    words_file = shop.out.with_name("words.scc")
    words_file.write_text(line21.scc(FIRST, FRAMES), encoding="ascii")
    maps = ("-map", "0:v", "-map", "1:a", "-map", "2:s", "-c:s", "copy", "-bsf:s", "eia608_to_smpte436m")
    codecs = ("-c:v", "mpeg2video", "-q:v", "6", "-c:a", "pcm_s16le", "-ar", "48000")
    shop.ffmpeg(*picture(rate=RATE, seconds=SECONDS), *tone(SECONDS), "-i", str(words_file), *maps, *codecs, str(shop.out))


@recipe("captions-track", ".mov")
def _captions_track(shop: Workshop) -> None:
    """A closed caption track of QuickTime, with a pair for each frame."""
    words_file = shop.out.with_name("words.scc")
    words_file.write_text(line21.scc(FIRST, FRAMES), encoding="ascii")
    maps = ("-map", "0:v", "-map", "1:a", "-map", "2:s", "-c:s", "copy", "-metadata:s:s:0", "language=eng")
    shop.ffmpeg(*picture(rate=RATE, seconds=SECONDS), *tone(SECONDS), "-i", str(words_file), *maps, *X264, *AAC, str(shop.out))
