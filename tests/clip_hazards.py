"""Recipes of clips that are good but awkward: what phones, editors, broadcasters and screen recorders really produce."""

from __future__ import annotations

from tests.boxes import grow, move_first
from tests.clip_recipes import AAC, X264, Workshop, h264, picture, recipe, tone

X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1")
QUIET_X265 = "log-level=error:pools=1:frame-threads=1"
PQ = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
HLG = "setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc"


# Rates.


def _at_rate(name: str, rate: str) -> None:
    @recipe(f"rate-{name}")
    def _make(shop: Workshop) -> None:
        h264(shop, rate=rate, seconds=2)


for _name, _rate in {"120": "120", "100": "100", "119.88": "120000/1001", "48": "48", "15": "15", "18": "18", "7": "7", "1": "1"}.items():
    _at_rate(_name, _rate)


@recipe("vfr")
def _vfr(shop: Workshop) -> None:
    """A second at 60 frames per second, then one at 30, then again. Frame numbers count sixtieths of a second."""
    chosen = "select='lt(mod(t,2),1)+not(mod(n,2))'"
    shop.ffmpeg(*picture(rate="60", seconds=4, more=chosen), *tone(4), *X264, *AAC, "-fps_mode", "vfr", str(shop.out))


@recipe("vfr-screen")
def _vfr_screen(shop: Workshop) -> None:
    """A screen recording: bursts at 60 frames per second, and nothing for up to a second and a half between them."""
    chosen = "select='lt(mod(t,2),0.5)'"
    shop.ffmpeg(*picture(rate="60", seconds=6, more=chosen), *X264, "-fps_mode", "vfr", str(shop.out))


@recipe("vfr-jitter", ".mkv")
def _vfr_jitter(shop: Workshop) -> None:
    """A phone at 30 frames per second whose timestamps wander by up to 8 ms."""
    wander = "settb=1/1000,setpts='PTS+mod(N*7,9)'"
    options = ("-fps_mode", "passthrough", "-enc_time_base", "1:1000")
    shop.ffmpeg(*picture(rate="30", seconds=4, more=wander), *tone(4), *X264, *AAC, *options, str(shop.out))


# Geometry.


def _rotated(degrees: int, size: str, turned: str) -> None:
    @recipe(f"rotated-{degrees}")
    def _make(shop: Workshop) -> None:
        """Stored turned the other way round, with a display matrix that asks players to turn it back clockwise."""
        upright = shop.out.with_name("upright.mp4")
        shop.ffmpeg(*picture(size, more=turned, seconds=3), *tone(3), *X264, *AAC, str(upright))
        shop.ffmpeg("-display_rotation", str(-degrees), "-i", str(upright), "-c", "copy", str(shop.out))


_rotated(90, "180x320", "transpose=cclock")
_rotated(180, "320x180", "hflip,vflip")
_rotated(270, "180x320", "transpose=clock")


def _sized(name: str, size: str, more: str = "", pixel_format: str = "yuv420p", seconds: float = 2) -> None:
    @recipe(name)
    def _make(shop: Workshop) -> None:
        shop.ffmpeg(*picture(size, more=more, seconds=seconds), *tone(seconds), *X264, *AAC, "-pix_fmt", pixel_format, str(shop.out))


_sized("portrait", "180x320")
_sized("tiny", "16x16")
_sized("too-small", "12x8")
_sized("wide", "8192x512", seconds=0.5)
_sized("ribbon", "4096x64")
_sized("anamorphic", "352x288", more="setsar=16/11")
_sized("odd-size", "642x362", more="format=yuv444p,crop=641:361:0:0:exact=1", pixel_format="yuv444p")
_sized("yuv422", "320x180", pixel_format="yuv422p")
_sized("high10", "320x180", pixel_format="yuv420p10le")


@recipe("uhd")
def _uhd(shop: Workshop) -> None:
    """2 s of 3840x2160: a small test picture enlarged without smoothing, which costs little and keeps its edges."""
    h264(shop, size="960x540", seconds=2, more="scale=3840:2160:flags=neighbor")


@recipe("rgb", ".mkv")
def _rgb(shop: Workshop) -> None:
    shop.ffmpeg(*picture(seconds=2), "-c:v", "libx264rgb", "-preset", "ultrafast", "-threads", "1", str(shop.out))


@recipe("interlaced")
def _interlaced(shop: Workshop) -> None:
    """25 interlaced frames per second, upper field first; frame n holds the fields of pictures 2n and 2n+1."""
    fields = "tinterlace=interleave_top,setfield=tff"
    options = ("-flags", "+ildct+ilme", "-x264-params", "tff=1")
    shop.ffmpeg(*picture("352x288", "50", 2, more=fields), *tone(2), *X264, *AAC, *options, str(shop.out))


# Codecs and colours.


@recipe("hevc-10bit")
def _hevc(shop: Workshop) -> None:
    """Main 10, with the open groups of pictures that x265 makes by default."""
    options = ("-pix_fmt", "yuv420p10le", "-x265-params", f"{QUIET_X265}:keyint=24:min-keyint=24:open-gop=1:bframes=3")
    shop.ffmpeg(*picture(seconds=3), *tone(3), *X265, *options, *AAC, str(shop.out))


def _hdr(name: str, transfer: str, more: str) -> None:
    @recipe(name)
    def _make(shop: Workshop) -> None:
        options = ("-pix_fmt", "yuv420p10le", "-x265-params", f"{QUIET_X265}:{more}keyint=24")
        shop.ffmpeg(*picture(seconds=2, more=f"format=yuv420p10le,{transfer}"), *tone(2), *X265, *options, *AAC, str(shop.out))


_hdr("hdr10", PQ, "hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400:")
_hdr("hlg", HLG, "")


def _dolby_vision(name: str, base: str, profile: int, compatibility: int) -> None:
    @recipe(name)
    def _make(shop: Workshop) -> None:
        """An HEVC clip with a Dolby Vision configuration record put into its sample entry (no RPU data: for probing only)."""
        levels = (profile << 1, 1 << 3 | 0b101, compatibility << 4)  # version 1.0, level 1, base layer and RPU present
        record = bytes((1, 0, *levels)) + bytes(19)
        name = b"dvcC" if profile <= 7 else b"dvvC"
        whole = shop.of(base).read_bytes()
        shop.out.write_bytes(grow(whole, ("moov", "trak", "mdia", "minf", "stbl", "stsd", "hvc1"), name, record))


_dolby_vision("dolby-vision-5", "hevc-10bit", 5, 0)
_dolby_vision("dolby-vision-8.1", "hdr10", 8, 1)
_dolby_vision("dolby-vision-8.4", "hlg", 8, 4)


@recipe("prores", ".mov")
def _prores(shop: Workshop) -> None:
    """10-bit 4:2:2, PCM sound, and a time code track, as editors write it."""
    options = ("-c:v", "prores_ks", "-profile:v", "2", "-pix_fmt", "yuv422p10le", "-threads", "1", "-c:a", "pcm_s16le")
    options += ("-timecode", "01:00:00:00")
    shop.ffmpeg(*picture(seconds=2), *tone(2), *options, str(shop.out))


@recipe("av1", ".webm")
def _av1(shop: Workshop) -> None:
    options = ("-c:v", "libsvtav1", "-preset", "12", "-g", "48", "-svtav1-params", "lp=1", "-pix_fmt", "yuv420p")
    shop.ffmpeg(*picture(seconds=2), *tone(2), *options, "-c:a", "libopus", str(shop.out))


@recipe("webm", ".webm")
def _webm(shop: Workshop) -> None:
    options = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-threads", "1", "-g", "48", "-pix_fmt", "yuv420p")
    shop.ffmpeg(*picture(seconds=3), *tone(3), *options, "-c:a", "libopus", str(shop.out))


@recipe("wmv", ".wmv")
def _wmv(shop: Workshop) -> None:
    options = ("-c:v", "wmv2", "-q:v", "4", "-g", "25", "-threads", "1", "-c:a", "wmav2")
    shop.ffmpeg(*picture(rate="25", seconds=2), *tone(2), *options, str(shop.out))


@recipe("dv", ".avi")
def _dv(shop: Workshop) -> None:
    """A PAL camcorder: 720x576 with pixels of 16:15, interlaced, bottom field first."""
    options = ("-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-threads", "1", "-c:a", "pcm_s16le")
    shop.ffmpeg(*picture("720x576", "25", 1, more="setsar=16/15"), *tone(1), *options, str(shop.out))


@recipe("vp8", ".webm")
def _vp8(shop: Workshop) -> None:
    options = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-threads", "1", "-g", "48", "-pix_fmt", "yuv420p")
    shop.ffmpeg(*picture(seconds=2), *tone(2), *options, "-c:a", "libvorbis", str(shop.out))


@recipe("mirrored")
def _mirrored(shop: Workshop) -> None:
    """A front camera: stored as in a mirror, with a display matrix that turns it round."""
    stored = shop.out.with_name("stored.mp4")
    shop.ffmpeg(*picture(seconds=2, more="hflip"), *X264, str(stored))
    shop.ffmpeg("-display_hflip", "-i", str(stored), "-c", "copy", str(shop.out))


@recipe("telecined", ".mpg")
def _telecined(shop: Workshop) -> None:
    """Film at 23.976 as American DVDs carried it: every second frame has a field more, and says so (soft telecine is 2:3 as well)."""
    options = ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-q:v", "4", "-threads", "1")
    pulled = "telecine=first_field=top:pattern=23,setfield=tff"
    shop.ffmpeg(*picture("352x240", "24000/1001", 2, more=pulled), *tone(2), *options, "-c:a", "mp2", str(shop.out))


@recipe("unsupported-codec", ".mkv")
def _magicyuv(shop: Workshop) -> None:
    """MagicYUV: a decoder that nobody needs and that had a bad year."""
    shop.ffmpeg(*picture(seconds=1), "-c:v", "magicyuv", "-pix_fmt", "yuv420p", str(shop.out))


# Groups of pictures.


@recipe("open-gop")
def _open_gop(shop: Workshop) -> None:
    options = ("-preset", "veryfast", "-x264-params", "open-gop=1:keyint=24:min-keyint=24:scenecut=0:bframes=3:b-adapt=0")
    h264(shop, *options)


@recipe("open-gop-ts", ".ts")
def _open_gop_ts(shop: Workshop) -> None:
    shop.ffmpeg("-i", str(shop.of("open-gop")), "-c", "copy", str(shop.out))


@recipe("long-gop")
def _long_gop(shop: Workshop) -> None:
    """14 s with a single keyframe at the start and B-frames."""
    h264(shop, "-preset", "veryfast", "-g", "1000", "-sc_threshold", "0", "-bf", "2", seconds=14)


@recipe("one-frame")
def _one_frame(shop: Workshop) -> None:
    shop.ffmpeg(*picture(seconds=1), *X264, "-frames:v", "1", str(shop.out))


@recipe("half-second")
def _half_second(shop: Workshop) -> None:
    h264(shop, seconds=0.5)


# Containers and timelines.


@recipe("fast-start")
def _fast_start(shop: Workshop) -> None:
    shop.ffmpeg("-i", str(shop.of("plain")), "-c", "copy", "-movflags", "+faststart", str(shop.out))


@recipe("looped")
def _looped(shop: Workshop) -> None:
    """A minute and a half, large enough for its beginning to be a small part of it."""
    shop.ffmpeg("-stream_loop", "22", "-i", str(shop.of("rate-50")), "-c", "copy", "-movflags", "+faststart", str(shop.out))


@recipe("heavy")
def _heavy(shop: Workshop) -> None:
    """18 s of noise: so many bytes that they arrive in several parts of an upload. The index comes first."""
    h264(shop, "-qp", "16", "-g", "50", "-movflags", "+faststart", rate="25", seconds=18, more="noise=alls=60:allf=t")


@recipe("open-gop-looped")
def _open_gop_looped(shop: Workshop) -> None:
    shop.ffmpeg("-stream_loop", "19", "-i", str(shop.of("open-gop")), "-c", "copy", str(shop.out))


@recipe("fragmented")
def _fragmented(shop: Workshop) -> None:
    shop.ffmpeg("-i", str(shop.of("plain")), "-c", "copy", "-movflags", "+frag_keyframe+delay_moov+default_base_moof", str(shop.out))


@recipe("mkv", ".mkv")
def _mkv(shop: Workshop) -> None:
    h264(shop, rate="24000/1001")


@recipe("ts", ".ts")
def _ts(shop: Workshop) -> None:
    h264(shop, rate="25")


@recipe("ts-wrap", ".ts")
def _ts_wrap(shop: Workshop) -> None:
    """The 33-bit clock of the transport stream passes its end after 2 s (ISO/IEC 13818-1, 2.4.3.7)."""
    shop.ffmpeg("-i", str(shop.of("rate-25")), "-c", "copy", "-output_ts_offset", "95440.3", str(shop.out))


@recipe("mpeg-ps", ".mpg")
def _mpeg_ps(shop: Workshop) -> None:
    shop.ffmpeg(*picture(rate="25", seconds=2), *tone(2), "-c:v", "mpeg2video", "-threads", "1", "-c:a", "mp2", str(shop.out))


@recipe("avi", ".avi")
def _avi(shop: Workshop) -> None:
    """MPEG-4 with B-frames: AVI stores no presentation times."""
    shop.ffmpeg(*picture(rate="25", seconds=4), *tone(4), "-c:v", "mpeg4", "-bf", "2", "-g", "50", "-c:a", "libmp3lame", str(shop.out))


@recipe("flv", ".flv")
def _flv(shop: Workshop) -> None:
    h264(shop, rate="30", seconds=2)


@recipe("cut-start", ".ts")
def _cut_start(shop: Workshop) -> None:
    """A recording that begins in the middle of a group of pictures: the first that can be decoded is number 48."""
    whole = shop.of("ts").read_bytes()
    shop.out.write_bytes(whole[len(whole) // 4 // 188 * 188 :])


@recipe("size-change", ".ts")
def _size_change(shop: Workshop) -> None:
    """After 2 s the picture becomes half as large, as in recordings of video calls."""
    small = shop.out.with_name("small.ts")
    first = shop.out.with_name("first.ts")
    shop.ffmpeg("-i", str(shop.of("rate-25")), "-t", "1.92", "-c", "copy", "-an", str(first))
    options = ("-map", "0:v", "-vf", "scale=160:90", "-output_ts_offset", "1.92")
    shop.ffmpeg("-ss", "1.92", "-i", str(shop.of("rate-25")), *options, *X264, str(small))
    shop.out.write_bytes(first.read_bytes() + small.read_bytes())


@recipe("edit-list")
def _edit_list(shop: Workshop) -> None:
    """Cut without re-encoding at 1.0 s of "sync": an edit list hides the frames between the keyframe and the cut."""
    shop.ffmpeg("-ss", "1.0", "-i", str(shop.of("sync")), "-t", "8", "-c", "copy", str(shop.out))


@recipe("late-start", ".ts")
def _late_start(shop: Workshop) -> None:
    """ "sync" on a clock that starts at an hour."""
    shop.ffmpeg("-t", "6", "-i", str(shop.of("sync")), "-c", "copy", "-output_ts_offset", "3600", str(shop.out))


# Sound.


@recipe("audio-late")
def _audio_late(shop: Workshop) -> None:
    """ "sync", whose audio begins at 2.25 s: the clicks still meet the flashes."""
    options = ("-t", "8", "-c:v", "copy", "-af", "atrim=start=2.25", *AAC)
    shop.ffmpeg("-i", str(shop.of("sync")), *options, str(shop.out))


@recipe("audio-negative")
def _audio_negative(shop: Workshop) -> None:
    """ "sync", whose video begins 0.25 s after its audio, and whose first click comes before any picture."""
    late = ("-ss", "2.0", "-itsoffset", "0.75", "-i", str(shop.of("sync")))
    shop.ffmpeg(
        *late, "-ss", "1.25", "-i", str(shop.of("sync")), "-t", "8", "-map", "0:v", "-map", "1:a", "-c:v", "copy", *AAC, str(shop.out)
    )


@recipe("audio-short")
def _audio_short(shop: Workshop) -> None:
    shop.ffmpeg(*picture(seconds=4), *tone(1.5), *X264, *AAC, str(shop.out))


@recipe("audio-long")
def _audio_long(shop: Workshop) -> None:
    """2 s of pictures, 6 s of sound."""
    shop.ffmpeg(*picture(seconds=2), *tone(6), *X264, *AAC, str(shop.out))


def _sounding(name: str, codec: tuple[str, ...], *, rate: int = 48_000, layout: str = "stereo", suffix: str = ".mp4") -> None:
    @recipe(name, suffix)
    def _make(shop: Workshop) -> None:
        shop.ffmpeg(*picture(seconds=2), *tone(2, rate, layout), *X264, *codec, str(shop.out))


_sounding("mono", AAC, rate=44_100, layout="mono")
_sounding("surround", AAC, layout="5.1")
_sounding("surround-7.1", ("-c:a", "pcm_s16le"), layout="7.1", suffix=".mkv")
_sounding("audio-8k", AAC, rate=8_000, layout="mono")
_sounding("audio-96k", AAC, rate=96_000)


@recipe("languages", ".mkv")
def _languages(shop: Workshop) -> None:
    """English commentary, French as the default, and one that does not say; English subtitles."""
    words = shop.out.with_name("words.srt")
    words.write_text("1\n00:00:00,500 --> 00:00:01,500\nHello\n", encoding="utf-8")
    inputs = (*picture(seconds=2), *tone(2), *tone(2, frequency=660), *tone(2, frequency=880), "-i", str(words))
    maps = tuple(part for index in range(5) for part in ("-map", str(index)))
    tags = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=Commentary", "-metadata:s:a:1", "language=fra")
    flags = ("-disposition:a:0", "comment", "-disposition:a:1", "default", "-disposition:a:2", "0", "-metadata:s:s:0", "language=eng")
    shop.ffmpeg(*inputs, *maps, *X264, *AAC, "-c:s", "srt", *tags, *flags, str(shop.out))


@recipe("attachments", ".mkv")
def _attachments(shop: Workshop) -> None:
    """Forty fonts for its subtitles."""
    font = shop.out.with_name("font.ttf")
    font.write_bytes(bytes(64))
    fonts = tuple(part for _ in range(40) for part in ("-attach", str(font)))
    shop.ffmpeg("-i", str(shop.of("half-second")), "-c", "copy", *fonts, "-metadata:s:t", "mimetype=font/ttf", str(shop.out))


# Cover art.


def _cover(shop: Workshop) -> str:
    cover = str(shop.out.with_name("cover.jpg"))
    shop.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=300x300:rate=1:duration=1", "-frames:v", "1", cover)
    return cover


@recipe("cover-last")
def _cover_last(shop: Workshop) -> None:
    options = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic")
    shop.ffmpeg("-i", str(shop.of("rate-25")), "-i", _cover(shop), *options, str(shop.out))


@recipe("cover-first")
def _cover_first(shop: Workshop) -> None:
    """The cover is stream 0, because the metadata box stands before the tracks."""
    shop.out.write_bytes(move_first(shop.of("cover-last").read_bytes(), "moov", "udta"))


@recipe("mp3", ".mp3")
def _mp3(shop: Workshop) -> None:
    shop.ffmpeg(*tone(3), "-c:a", "libmp3lame", str(shop.out))


@recipe("mp3-cover", ".mp3")
def _mp3_cover(shop: Workshop) -> None:
    """Audio whose only picture is its cover."""
    options = ("-map", "0", "-map", "1", "-c:a", "libmp3lame", "-c:v", "copy", "-disposition:v:0", "attached_pic")
    shop.ffmpeg(*tone(3), "-i", _cover(shop), *options, str(shop.out))


@recipe("words-only", ".mkv")
def _words_only(shop: Workshop) -> None:
    """Subtitles of nothing."""
    words = shop.out.with_name("words-only.srt")
    words.write_text("1\n00:00:00,000 --> 00:00:02,000\nHello\n")
    shop.ffmpeg("-i", str(words), "-c:s", "srt", str(shop.out))
