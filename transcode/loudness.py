"""How loud a track is by EBU R 128, and what it takes to make it as loud as others. Pure.

The figures are those of FFmpeg's `ebur128` filter: integrated loudness (ITU-R BS.1770-4), loudness range (EBU Tech 3342) and true peak.

The target is -18 LUFS, what AES TD1008 (2021) recommends for assorted content on the internet (EBU R 128's own -23 LUFS is for
broadcasting, and too quiet for telephones). One gain for the whole track, so that nothing of the mix is changed, and no more than
leaves its true peak at -1 dBTP: a track with high peaks stays quieter than the target rather than being squeezed into it.
"""

from __future__ import annotations

import re

from catalog.sounds import Loudness
from kit.errors import StepFailed

TARGET_LUFS = -18.0
HIGHEST_PEAK_DBTP = -1.0
SILENCE_LUFS = -69.9  # ebur128 says -70 of what never passes its absolute gate
SMALLEST_GAIN_DB = 0.1
MOST_GAIN_DB = 24.0  # beyond it there is nothing but noise to be heard

_FIGURES = re.compile(
    r"Integrated loudness:\s+I:\s+(?P<i>-?[\d.]+|-?inf|nan) LUFS.*?LRA:\s+(?P<lra>-?[\d.]+|-?inf|nan) LU.*?"
    r"True peak:\s+Peak:\s+(?P<peak>-?[\d.]+|-?inf|nan) dBFS",
    re.DOTALL,
)


def read(said: str) -> Loudness:
    """From what FFmpeg printed. Raises StepFailed when there are no figures in it."""
    figures = list(_FIGURES.finditer(said))
    if not figures:
        raise StepFailed("FFmpeg has not said how loud the track is.", code="encode_failed")
    found = figures[-1]
    integrated, peak = _number(found["i"]), _number(found["peak"])
    silent = integrated is None or integrated <= SILENCE_LUFS
    return Loudness(None if silent else integrated, 0.0 if silent else _number(found["lra"]) or 0.0, peak)


def gain_db(measured: Loudness) -> float:
    """What the track is to be made louder by, or quieter, to a tenth of a decibel."""
    if measured.integrated_lufs is None:
        return 0.0
    wanted = min(TARGET_LUFS - measured.integrated_lufs, MOST_GAIN_DB)
    if measured.true_peak_dbtp is not None:
        wanted = min(wanted, HIGHEST_PEAK_DBTP - measured.true_peak_dbtp)
    return round(wanted, 1) if abs(wanted) >= SMALLEST_GAIN_DB else 0.0


def _number(text: str) -> float | None:
    return None if text.lstrip("-") in ("inf", "nan") else float(text)
