"""Clips that bring text along: subtitles of several kinds, pictures of text, chapters."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.clip_recipes import AAC, X264, Workshop, picture, recipe, tone

SRT = "1\n00:00:01,001 --> 00:00:02,502\n<i>Bonjour</i> & merci\n\n2\n00:00:06,900 --> 00:00:07,500\nLa fin\n"
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, Alignment
Style: Default,Arial,20,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:03.00,0:00:04.50,Default,,0,0,0,,{\\an8}Sign: Exit
"""
CHAPTERS = ";FFMETADATA1\n" + "".join(
    f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n"
    for start, end, title in ((0, 3000, "Opening"), (3000, 8000, "1 \\= 1"))
)


def _files(shop: Workshop) -> tuple[str, str, str]:
    folder, names = shop.out.parent, []
    for name, text in (("words.srt", SRT), ("signs.ass", ASS), ("chapters.txt", CHAPTERS)):
        (folder / name).write_text(text, encoding="utf-8")
        names.append(str(folder / name))
    return names[0], names[1], names[2]


def _pgs(path: Path) -> str:
    """A Blu-ray subtitle that shows nothing, once a second: composition and end segments."""

    def segment(second: int, kind: int, body: bytes) -> bytes:
        return b"PG" + struct.pack(">IIBH", 90_000 * second, 0, kind, len(body)) + body

    composition = struct.pack(">HHBHBBBB", 320, 180, 0x10, 0, 0x80, 0, 0, 0)
    path.write_bytes(b"".join(segment(second, 0x16, composition) + segment(second, 0x80, b"") for second in (1, 2, 3)))
    return str(path)


@recipe("texts", ".mkv")
def _texts(shop: Workshop) -> None:
    """8 s that begin at 0.4 s on the file's clock: French SRT (default), forced English ASS, Blu-ray pictures, two chapters."""
    words, signs, chapters = _files(shop)
    inputs = (*picture(seconds=8), *tone(8), "-i", words, "-i", signs, "-f", "sup", "-i", _pgs(shop.out.with_name("p.sup")), "-i", chapters)
    maps = tuple(part for index in range(5) for part in ("-map", str(index)))
    kinds = ("-c:s:0", "srt", "-c:s:1", "ass", "-c:s:2", "copy", "-map_chapters", "5")
    tags = ("-metadata:s:s:0", "language=fre", "-metadata:s:s:0", "title=Français", "-metadata:s:s:1", "language=eng")
    flags = ("-disposition:s:0", "default", "-disposition:s:1", "forced", "-disposition:s:2", "hearing_impaired")
    shop.ffmpeg(*inputs, *maps, *X264, *AAC, *kinds, *tags, *flags, "-output_ts_offset", "0.4", str(shop.out))


@recipe("texts-mp4")
def _texts_mp4(shop: Workshop) -> None:
    """3GPP timed text and chapters, as phones and players of Apple have them."""
    words, _, chapters = _files(shop)
    inputs = (*picture(seconds=8), *tone(8), "-i", words, "-i", chapters)
    maps = ("-map", "0", "-map", "1", "-map", "2", "-map_chapters", "3", "-map_metadata", "3")
    shop.ffmpeg(*inputs, *maps, *X264, *AAC, "-c:s", "mov_text", "-metadata:s:s:0", "language=fra", str(shop.out))
