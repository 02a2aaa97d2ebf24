"""HDR to SDR, held to a reference that is computed here from the standards and not by FFmpeg: within 2 of 255 levels for every grey.

PQ: SMPTE ST 2084 gives absolute luminance. HLG: ITU-R BT.2100's inverse OETF and its system gamma of 1.2 for a display of 1,000 cd/m².
Both are divided by the reference white of 203 cd/m² (BT.2408), bent by the Möbius curve, and shown by an SDR display (BT.1886: a power
of 2.4).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from math import exp

import pytest

from kit import tools
from kit.world import World
from tests.sources import video
from transcode.colour import conversion

WHITE, KNEE, PEAK = 203.0, 0.3, 5.0
SIGNALS = (0.0, 0.1, 0.25, 0.38, 0.5, 0.58, 0.65, 0.75)


def pq(signal: float) -> float:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    return float(10_000 * (max(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1))


def hlg(signal: float) -> float:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = signal**2 / 3 if signal <= 0.5 else (exp((signal - c) / a) + b) / 12
    return float(1_000 * scene**1.2)


def shown(luminance: float) -> float:
    """The level of an SDR display, 0 to 255."""
    light = luminance / WHITE
    if light > KNEE:
        a = -(KNEE**2) * (PEAK - 1) / (KNEE**2 - 2 * KNEE + PEAK)
        b = (KNEE**2 - 2 * KNEE * PEAK + PEAK) / (PEAK - 1)
        light = (b**2 + 2 * b * KNEE + KNEE**2) / (b - a) * (light + a) / (light + b)
    return float(255 * min(1, light) ** (1 / 2.4))


@pytest.mark.parametrize(("transfer", "light"), [("smpte2084", pq), ("arib-std-b67", hlg)])
def test_greys_are_those_of_the_reference(local_world: World, transfer: str, light: Callable[[float], float]) -> None:
    for signal in SIGNALS:
        assert mapped(local_world, transfer, signal) == pytest.approx(shown(light(signal)), abs=2), signal


def test_diffuse_white_is_the_same_in_both() -> None:
    """BT.2408: 58 % PQ and 75 % HLG are both about 203 cd/m²."""
    assert shown(pq(0.58)) == pytest.approx(shown(hlg(0.75)), abs=1)
    assert shown(hlg(1.0)) == pytest.approx(255, abs=1)


def mapped(world: World, transfer: str, signal: float) -> float:
    """The level of a grey picture after the conversion that every SDR rendition goes through."""
    source = video(64, 64, color=("bt2020nc", transfer, "bt2020"))
    filters = [f"{item.name}={':'.join(f'{name}={value}' for name, value in item.options.items())}" for item in conversion(source)]
    grey = f"format=yuv420p10le,geq=lum={round(64 + 876 * signal)}:cb=512:cr=512,setparams=color_trc={transfer}"
    graph = ",".join([grey, *filters, "format=gray"])  # from limited to full range
    words = (tools.ffmpeg(world.settings), "-v", "error", "-f", "lavfi", "-i", "color=black:size=64x64:rate=1:duration=1", "-vf", graph)
    done = subprocess.run((*words, "-f", "rawvideo", "-"), capture_output=True, check=True, timeout=60)
    return sum(done.stdout) / len(done.stdout)
