"""Right HLS presentations made of nothing, for tests of a validator: playlists, and fragmented MP4 that no encoder wrote.

`make(Recipe())` is a title of 15 s in two sizes with sound, captions and I-frame playlists; every knob of a recipe makes it wrong, or
different, in one respect. Parameter sets, boxes and bit rates are written here independently of what reads them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise

from hls_validation.fetch import Answer, NotFetched

BASE = "https://cdn.example/title/"
RATE, TIMESCALE, GOP = 24, 24_000, 48
SPANS = ((0, 144), (144, 288), (288, 360))  # frames of each segment
SURROUND_CUTS = (0, 188, 375, 469)  # frames of 1536 samples
AUDIO_CUTS = (0, 281, 562, 703)  # AAC frames of 1024 samples at 48 kHz, nearest to the video's boundaries
GZIP = {"content-encoding": "gzip", "content-type": "application/vnd.apple.mpegurl"}


@dataclass(frozen=True)
class Dolby:
    """5.1 in E-AC-3 beside the stereo: what its box and its frames say."""

    box: str = "dec3"
    rate_code: int = 0
    mode: int = 7
    low: int = 1
    frame_mode: int = 7
    sync: bytes = b"\x0b\x77"
    ticks: int = 1536
    dependent: int = 0  # substreams
    scheme: bytes = b""

    def entry(self) -> bytes:
        bits = Writer().put(448, 13).put(0, 3).put(self.rate_code, 2).put(16, 5).put(0, 5).put(self.mode, 3).put(self.low, 1).put(0, 3)
        dec3 = box(self.box, int(bits.put(self.dependent, 4).put(0, 1).bits, 2).to_bytes(5))
        head = bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">HHIHH", 2, 16, 0, 48_000, 0)
        if not self.scheme:
            return box("ec-3", head, dec3)
        tenc = full("tenc", bytes([0, 0, 1, 0]), bytes(16), version=1)
        sinf = box("sinf", box("frma", b"ec-3"), full("schm", self.scheme, struct.pack(">I", 0x10000)), box("schi", tenc))
        return box("enca", head, dec3, sinf)

    def frame(self) -> bytes:
        head = Writer().put(0, 5).put(895, 11).put(0, 2).put(3, 2).put(self.frame_mode, 3).put(1, 1).put(16, 5).put(0, 3)
        return self.sync + int(head.bits, 2).to_bytes(4) + bytes(34)


@dataclass(frozen=True)
class Recipe:
    sizes: tuple[tuple[int, int], ...] = ((640, 360), (768, 432))
    level: int = 30
    interlaced: bool = False
    entry: str = "avc1"
    frame_ticks: int = 1000
    first_nal: int = 0x65  # of the second segment
    second_start: int = 144_000  # decode time of the second segment
    colours: tuple[int, int, int] | None = None  # of the second size
    pattern: tuple[int, int] | None = None
    second_ticks: int = 1000  # of a frame, in the second segment
    audio_tracks: int = 1
    audio_start: int = 0
    object_type: int = 2
    loud: bool = True
    dolby: Dolby | None = None
    moof_in_iframes: bool = True
    key_interval: int = GOP


@dataclass
class Title:
    """Everything by address."""

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: dict(GZIP))
    redirected: set[str] = field(default_factory=set)
    base: str = BASE

    def __call__(self, url: str, part: tuple[int, int] | None, most: int) -> Answer:
        name = url.removeprefix(self.base)
        if name not in self.files:
            raise NotFetched(f"{url} answers 404 Not Found")
        body = self.files[name]
        if part is not None:
            body = body[part[1] : part[1] + part[0]]
        return Answer(url, body, int(name in self.redirected), self.headers)

    def text(self, name: str) -> str:
        return self.files[name].decode()

    def swap(self, name: str, old: str, new: str, count: int = -1) -> Title:
        """With a text replaced, which must be there."""
        assert old in self.text(name), (name, old)
        self.files[name] = self.text(name).replace(old, new, count).encode()
        return self


def box(kind: str, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind.encode()) + b"".join(parts)


def full(kind: str, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


class Writer:
    """Bits, most significant first."""

    def __init__(self) -> None:
        self.bits = ""

    def put(self, value: int, count: int) -> Writer:
        self.bits += f"{value:0{count}b}"
        return self

    def ue(self, *values: int) -> Writer:
        for value in values:
            text = f"{value + 1:b}"
            self.bits += "0" * (len(text) - 1) + text
        return self

    def data(self) -> bytes:
        text = self.bits + "1"
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8)


def sps(width: int, height: int, recipe: Recipe) -> bytes:
    """A High profile parameter set with one reference frame and no VUI."""
    across, lines = -(-width // 16), 32 if recipe.interlaced else 16
    down = -(-height // lines)
    out = Writer().put(100, 8).put(0, 8).put(recipe.level, 8).ue(0, 1, 0, 0).put(0, 2).ue(0, 2, 1).put(0, 1).ue(across - 1, down - 1)
    out.put(0 if recipe.interlaced else 1, 1)
    if recipe.interlaced:
        out.put(0, 1)
    out.put(1, 1).put(1, 1).ue(0, (16 * across - width) // 2, 0, (lines * down - height) // (4 if recipe.interlaced else 2)).put(0, 1)
    return b"\x67" + out.data()


def _video_entry(size: tuple[int, int], recipe: Recipe, colours: tuple[int, int, int] | None) -> bytes:
    unit = sps(*size, recipe)
    avcc = box("avcC", bytes([1, 100, 0, recipe.level, 0xFF, 0xE1]), struct.pack(">H", len(unit)), unit, b"\x01\x00\x04\x68\xee\x3c\x80")
    head = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", *size) + bytes(50)
    inside = [avcc, box("colr", b"nclx", struct.pack(">HHHB", *colours, 0))] if colours else [avcc]
    if recipe.pattern is None:
        return box(recipe.entry, head, *inside)
    tenc = full("tenc", bytes([0, recipe.pattern[0] << 4 | recipe.pattern[1], 1, 0]), bytes(16), version=1)
    sinf = box("sinf", box("frma", b"avc1"), full("schm", b"cbcs", struct.pack(">I", 0x10000)), box("schi", tenc))
    return box("encv", head, *inside, sinf)


def _audio_entry(recipe: Recipe) -> bytes:
    config = bytes([recipe.object_type << 3 | 1, 0x90])  # 48 kHz, stereo
    decoder = b"\x04" + bytes([13 + 2 + len(config), 0x40, 0x15]) + bytes(11) + b"\x05" + bytes([len(config)]) + config
    esds = full("esds", b"\x03" + bytes([3 + len(decoder)]) + bytes(3) + decoder)
    return box("mp4a", bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">HHIHH", 2, 16, 0, 48_000, 0), esds)


def _trak(identity: int, handler: bytes, timescale: int, size: tuple[int, int], entry: bytes, extra: bytes = b"") -> bytes:
    tkhd = full("tkhd", bytes(8), struct.pack(">I", identity), bytes(60), struct.pack(">II", size[0] << 16, size[1] << 16))
    stbl = box("stbl", full("stsd", struct.pack(">I", 1), entry))
    mdhd = full("mdhd", bytes(8), struct.pack(">II", timescale, 0), bytes(4))
    mdia = box("mdia", mdhd, full("hdlr", bytes(4), handler, bytes(13)), box("minf", stbl))
    return box("trak", tkhd, mdia, extra)


def init(*traks: bytes) -> bytes:
    return box("ftyp", b"iso6", bytes(4), b"cmfc") + box("moov", full("mvhd", bytes(96)), *traks)


def fragment(start: int, ticks: int, samples: list[bytes], *, audio: bool = False) -> bytes:
    """One moof with its mdat; the first sample is a sync sample, and of audio every one."""
    flags = 0x0200_0000 if audio else 0x0101_0000
    run = struct.pack(">I", 0x0200_0000) + b"".join(struct.pack(">I", len(sample)) for sample in samples)
    tfhd = full("tfhd", struct.pack(">III", 1, ticks, flags), flags=0x2_0028)
    tfdt = full("tfdt", struct.pack(">Q", start), version=1)

    def moof(offset: int) -> bytes:
        trun = full("trun", struct.pack(">Ii", len(samples), offset), run, flags=0x205)
        return box("moof", full("mfhd", struct.pack(">I", 1)), box("traf", tfhd, tfdt, trun))

    return moof(len(moof(0)) + 8) + box("mdat", *samples)


def _sample(head: int, size: int) -> bytes:
    return struct.pack(">IB", size - 4, head) + bytes(size - 5)


@dataclass
class _Made:
    sizes: list[int]
    lengths: list[float]

    def rates(self, target: float = 6) -> tuple[float, float]:
        """Peak and average, by the definition."""
        runs = [(sum(self.sizes[a:b]), sum(self.lengths[a:b])) for a in range(len(self.sizes)) for b in range(a + 1, len(self.sizes) + 1)]
        peak = max(8 * size / length for size, length in runs if target / 2 <= length <= target * 3 / 2)
        return peak, 8 * sum(self.sizes) / sum(self.lengths)


def _media(lines: list[str], *, version: int = 6, head: str = '#EXT-X-MAP:URI="init.mp4"') -> bytes:
    top = ["#EXTM3U", f"#EXT-X-VERSION:{version}", "#EXT-X-TARGETDURATION:6", "#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-PLAYLIST-TYPE:VOD"]
    return "\n".join([*top, *([head] if head else []), *lines, "#EXT-X-ENDLIST", ""]).encode()


def _video(title: Title, name: str, index: int, recipe: Recipe) -> tuple[_Made, _Made]:
    """The segments and playlists of a size; what whole segments and I-frames weigh."""
    size = recipe.sizes[index]
    entry = _video_entry(size, recipe, recipe.colours if index else None)
    title.files[f"{name}/init.mp4"] = init(_trak(1, b"vide", TIMESCALE, size, entry))
    lines, keys = [], []
    whole, pictures = _Made([], []), _Made([], [])
    for number, (first, end) in enumerate(SPANS):
        data = box("styp", b"msdh", bytes(4))
        ticks = recipe.second_ticks if number == 1 else recipe.frame_ticks
        for gop in range(first, end, recipe.key_interval):
            frames = min(recipe.key_interval, end - gop)
            head = recipe.first_nal if number == 1 and gop == first else 0x65
            samples = [_sample(head, 900 + 300 * index), *(_sample(0x41, 100 + 50 * index) for _ in range(frames - 1))]
            start = gop * ticks if number != 1 else recipe.second_start + (gop - first) * ticks
            part = fragment(start, ticks, samples)
            shown = part[: part.index(b"mdat") + 4 + len(samples[0])]
            at = len(data) if recipe.moof_in_iframes else len(data) + part.index(b"mdat") - 4
            size_bytes = len(shown) - (at - len(data))
            keys += [f"#EXTINF:{frames / RATE:.6f},", f"#EXT-X-BYTERANGE:{size_bytes}@{at}", f"{number}.m4s"]
            pictures.sizes.append(size_bytes)
            pictures.lengths.append(frames / RATE)
            data += part
        title.files[f"{name}/{number}.m4s"] = data
        whole.sizes.append(len(data))
        whole.lengths.append((end - first) / RATE)
        lines += [f"#EXTINF:{(end - first) / RATE:.6f},", f"{number}.m4s"]
    title.files[f"{name}/index.m3u8"] = _media(lines)
    title.files[f"{name}/iframes.m3u8"] = _media(keys, head='#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI="init.mp4"')
    return whole, pictures


def _audio(title: Title, recipe: Recipe) -> _Made:
    entry, ludt = _audio_entry(recipe), box("udta", box("ludt")) if recipe.loud else b""
    title.files["audio/init.mp4"] = init(*(_trak(1 + n, b"soun", 48_000, (0, 0), entry, ludt) for n in range(recipe.audio_tracks)))
    made, lines = _Made([], []), []
    for number, (first, end) in enumerate(pairwise(AUDIO_CUTS)):
        data = fragment(recipe.audio_start + first * 1024, 1024, [bytes(40)] * (end - first), audio=True)
        title.files[f"audio/{number}.m4s"] = data
        made.sizes.append(len(data))
        made.lengths.append((end - first) * 1024 / 48_000)
        lines += [f"#EXTINF:{made.lengths[-1]:.6f},", f"{number}.m4s"]
    title.files["audio/index.m3u8"] = _media(lines)
    return made


def _surround(title: Title, dolby: Dolby) -> _Made:
    title.files["wide/init.mp4"] = init(_trak(1, b"soun", 48_000, (0, 0), dolby.entry()))
    made, lines = _Made([], []), []
    for number, (first, end) in enumerate(pairwise(SURROUND_CUTS)):
        data = fragment(first * 1536, dolby.ticks, [dolby.frame()] * (end - first), audio=True)
        title.files[f"wide/{number}.m4s"] = data
        made.sizes.append(len(data))
        made.lengths.append((end - first) * 1536 / 48_000)
        lines += [f"#EXTINF:{made.lengths[-1]:.6f},", f"{number}.m4s"]
    key = '\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://one",KEYFORMAT="com.example"' if dolby.scheme else ""
    title.files["wide/index.m3u8"] = _media(lines, head=f'#EXT-X-MAP:URI="init.mp4"{key}')
    return made


def _variants(name: str, codec: str, same: str, whole: tuple[float, float], heard: dict[tuple[str, str], tuple[float, float]]) -> list[str]:
    """A size with each group of sound."""
    lines = []
    for (group, audible), sound in heard.items():
        rates = f"BANDWIDTH={whole[0] + sound[0]:.0f},AVERAGE-BANDWIDTH={whole[1] + sound[1]:.0f}"
        rest = f'FRAME-RATE=24.000,AUDIO="{group}",SUBTITLES="t",CLOSED-CAPTIONS=NONE'
        lines += [f'#EXT-X-STREAM-INF:{rates},CODECS="{codec},{audible}",{same},{rest}', f"{name}/index.m3u8"]
    return lines


def make(recipe: Recipe | None = None) -> Title:
    """The whole presentation; its multivariant playlist is `main.m3u8`."""
    recipe = recipe or Recipe()
    title = Title()
    heard = {("a", f"mp4a.40.{recipe.object_type}"): _audio(title, recipe).rates()}
    text = [f"#EXTINF:{(end - first) / RATE:.6f},\n{number}.vtt" for number, (first, end) in enumerate(SPANS)]
    title.files["text/index.m3u8"] = _media(text, version=3, head="")
    for number in range(len(SPANS)):
        title.files[f"text/{number}.vtt"] = b"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n"
    common = 'NAME="English",LANGUAGE="en"'
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",{common},DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio/index.m3u8"',
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="t",{common},DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="text/index.m3u8"',
    ]
    if recipe.dolby is not None:
        heard["e", "ec-3"] = _surround(title, recipe.dolby).rates()
        lines += [lines[3].replace('"a"', '"e"').replace('CHANNELS="2",URI="audio', 'CHANNELS="6",URI="wide')]
    keys = []
    for index, (width, height) in enumerate(recipe.sizes):
        name = f"{height}p"
        whole, pictures = (made.rates() for made in _video(title, name, index, recipe))
        codec, same = f"avc1.6400{recipe.level:02x}", f"RESOLUTION={width}x{height},VIDEO-RANGE=SDR"
        lines += _variants(name, codec, same, whole, heard)
        rates = f"BANDWIDTH={pictures[0]:.0f},AVERAGE-BANDWIDTH={pictures[1]:.0f}"
        keys.append(f'#EXT-X-I-FRAME-STREAM-INF:{rates},CODECS="{codec}",{same},URI="{name}/iframes.m3u8"')
    title.files["main.m3u8"] = "\n".join([*lines, *keys, ""]).encode()
    return title
