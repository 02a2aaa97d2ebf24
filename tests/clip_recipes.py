"""How each test clip is made: a table of named recipes.

Good clips first, then the hostile and broken ones. Most are 320x180 and a few seconds long, because a test should cost
less than the thing it tests. Pictures are FFmpeg's `testsrc2` with the frame number painted over the top (see `counter`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CELLS = 16  # across the top eighth of the picture: white, 12 bits of the frame number (highest first), black, white, black
BITS = 12


class Ffmpeg(Protocol):
    def __call__(self, *arguments: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a recipe has at hand: where to write, other clips, and FFmpeg."""

    out: Path
    of: Callable[[str], Path]
    ffmpeg: Ffmpeg


@dataclass(frozen=True, slots=True)
class Recipe:
    suffix: str
    make: Callable[[Workshop], None]


RECIPES: dict[str, Recipe] = {}

Make = Callable[[Workshop], None]


def recipe(name: str, suffix: str = ".mp4") -> Callable[[Make], Make]:
    """Enter the decorated function in the table."""

    def enter(make: Make) -> Make:
        assert name not in RECIPES, name
        RECIPES[name] = Recipe(suffix, make)
        return make

    return enter


# What the pictures and the sound are.


def counter() -> str:
    """Filters that paint the frame number across the top of the picture as black and white cells."""

    def cell(index: int, shown: str) -> str:
        return f"drawbox=x=floor(iw*{index}/{CELLS}):y=0:w=ceil(iw/{CELLS}):h=ceil(ih/8):color=white:t=fill:enable='{shown}'"

    strip = ["drawbox=x=0:y=0:w=iw:h=ceil(ih/8):color=black:t=fill", cell(0, "1"), cell(CELLS - 2, "1")]
    strip += [cell(1 + bit, f"mod(floor(n/{2 ** (BITS - 1 - bit)}),2)") for bit in range(BITS)]
    return ",".join(strip)


def picture(size: str = "320x180", rate: str = "24", seconds: float = 6, *, more: str = "") -> tuple[str, ...]:
    """An input: a moving test picture that says which frame it is. `more`: filters put after the counter."""
    chain = f"testsrc2=size={size}:rate={rate}:duration={seconds},format=yuv420p,{counter()}"
    return ("-f", "lavfi", "-i", f"{chain},{more}" if more else chain)


def tone(seconds: float = 6, rate: int = 48_000, layout: str = "stereo", frequency: int = 440) -> tuple[str, ...]:
    """An input: a steady tone."""
    return ("-f", "lavfi", "-i", f"sine=frequency={frequency}:sample_rate={rate}:duration={seconds},aformat=channel_layouts={layout}")


X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-g", "48", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-b:a", "64k")


def h264(shop: Workshop, *options: str, size: str = "320x180", rate: str = "24", seconds: float = 4, more: str = "") -> None:
    """The ordinary clip: H.264 and stereo AAC."""
    shop.ffmpeg(*picture(size, rate, seconds, more=more), *tone(seconds), *X264, *AAC, *options, str(shop.out))


# Ordinary sources.


@recipe("plain")
def _plain(shop: Workshop) -> None:
    """6 s of 320x180 at 24 frames per second; the index at the end of the file."""
    h264(shop, seconds=6)


@recipe("small")
def _small(shop: Workshop) -> None:
    """The same in 160x90: three groups of pictures for encoders that take their time."""
    h264(shop, size="160x90", seconds=6)


@recipe("stamp")
def _stamp(shop: Workshop) -> None:
    """8 s of a stamp-sized picture with some noise, in about 400 kB; the index comes first."""
    h264(shop, "-qp", "33", "-g", "24", "-movflags", "+faststart", size="160x120", rate="12", seconds=8, more="noise=alls=20:allf=t")


@recipe("sync")
def _sync(shop: Workshop) -> None:
    """20 s; at every half second past a full one (0.5, 1.5 …) two white frames and a 10 ms click begin together."""
    flash = "drawbox=x=0:y=ceil(ih/8):w=iw:h=ih:color=white:t=fill:enable='between(mod(n,24),12,13)'"
    dark = f"color=black:size=320x180:rate=24:duration=20,format=yuv420p,{counter()},{flash}"
    click = "aevalsrc='if(between(mod(t,1),0.5,0.51),0.8*sin(2*PI*2000*t),0)':s=48000:d=20,aformat=channel_layouts=stereo"
    shop.ffmpeg("-f", "lavfi", "-i", dark, "-f", "lavfi", "-i", click, *X264, *AAC, str(shop.out))


def _at_rate(name: str, rate: str, seconds: float = 4) -> None:
    @recipe(f"rate-{name}")
    def _make(shop: Workshop) -> None:
        h264(shop, rate=rate, seconds=seconds)


for _name, _rate in {
    "23.976": "24000/1001",
    "25": "25",
    "29.97": "30000/1001",
    "30": "30",
    "50": "50",
    "59.94": "60000/1001",
    "60": "60",
    "12.5": "25/2",
}.items():
    _at_rate(_name, _rate)


@recipe("no-audio")
def _no_audio(shop: Workshop) -> None:
    shop.ffmpeg(*picture(seconds=4), *X264, str(shop.out))
