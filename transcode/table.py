"""The numbers behind the ladder: one table, and where each figure comes from.

Bitrate caps. Apple's HLS authoring specification (revision 2025-06-26, "H.264" column) lists average bitrates by size; the
highest it lists for a size is our cap (`maxrate`), so that the hardest title costs what Apple recommends and an easier one,
encoded at constant quality, costs less. Apple lists no 480p row (interpolated by picture size between 768x432 at 1,100 and
960x540 at 2,000 kbit/s) and no H.264 above 1080p (its HEVC row times 7,800 / 5,800, the ratio of its own two columns at
1080p). Its rows below 432p are averages for the poorest network, and are doubled: rule 1.30 allows a peak of twice the average.
Above 30 frames per second all caps grow by half, the step that YouTube's recommended upload bitrates make for high frame rates.

Buffer. `bufsize` is 1.5 seconds of `maxrate`. x264 starts every chunk with its buffer 90 % full, so a chunk of t seconds may
average maxrate × (1 + 0.9 × 1.5 / t): 1.23 × for the 6 s chunk that starts a title, and it stays below half of any chunk.

Threads. x264 gets one thread for each rung. Its frame threads read each other's unfinished sizes when a VBV buffer is set,
so two runs of one command differ (measured: 3 results in 12 runs with two threads, 6 in 12 with four, 1 with one), and equal
plans must give equal bytes. Cores are kept busy by the rungs of a process and the chunks of a title instead.

Quality. CRF 23 with x264's `veryfast` is the one setting for all sizes; the cap decides for material that is hard to code.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import log

BUFFER_S = 1.5
HIGH_FRAME_RATE = 31  # frames per second above which the caps grow
HIGH_FRAME_RATE_FACTOR = 1.5
THREADS = 1
DPB_FRAMES = 2  # decoded pictures a player must hold: `veryfast` has one reference, and B-frames are no references

PRIMING_FRAMES = 1  # coded frames of sound in front of the first that is kept (docs/decisions/0005-audio-priming.md)
AUDIO_BITRATE_BPS = 128_000  # AAC-LC stereo: inside Apple's 32 to 160 kbit/s
LOW_BITRATE_BPS = 64_000  # of sound without pictures, for the poorest network; below it AAC-LC is heard to suffer
SURROUND_BITRATE_BPS = 320_000  # AAC-LC 5.1: Apple's figure
# E-AC-3 5.1. Apple's 192 is for Dolby's own encoder. FFmpeg's has the tools of AC-3, for which Apple says 384 and DVDs took 448.
EAC3_BITRATE_BPS = 448_000


@dataclass(frozen=True, slots=True)
class Row:
    """A standard rung: the length of its shorter side, its pixels at 16:9, and its bitrate cap up to 30 frames per second."""

    short_side: int
    pixels: int
    maxrate_kbps: int


ROWS = (
    Row(240, 426 * 240, 300),
    Row(360, 640 * 360, 730),
    Row(480, 854 * 480, 1_500),
    Row(720, 1280 * 720, 4_500),
    Row(1080, 1920 * 1080, 7_800),
    Row(1440, 2560 * 1440, 10_900),
    Row(2160, 3840 * 2160, 22_600),
)


def maxrate_bps(width: int, height: int, frame_rate: Fraction) -> int:
    """The cap of any picture size: the table's own at its rows, and between and beyond them along the line through the
    neighbouring rows (bitrate as a power of the number of pixels), in steps of 10 kbit/s and never below the first row.
    """
    pixels = width * height
    above = next((index for index, row in enumerate(ROWS) if row.pixels >= pixels), len(ROWS) - 1)
    low, high = ROWS[max(0, above - 1)], ROWS[max(1, above)]
    slope = log(high.maxrate_kbps / low.maxrate_kbps) / log(high.pixels / low.pixels)
    kbps: float = low.maxrate_kbps * float(pixels / low.pixels) ** slope
    if frame_rate > HIGH_FRAME_RATE:
        kbps *= HIGH_FRAME_RATE_FACTOR
    return max(ROWS[0].maxrate_kbps, round(kbps / 10) * 10) * 1000
