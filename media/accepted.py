"""What an upload may be made of: the containers and codecs that FFmpeg is allowed to open.

FFmpeg understands hundreds of formats, and every one of them is code that a stranger's file could reach. These are the
ones that people's cameras, phones, editors and screen recorders make. Everything else is refused before its parser runs:
playlists and scripts because they name other files, obscure decoders because that is where memory errors are found.

Both programs that read an upload, ffprobe and FFmpeg, are given these names (`-format_whitelist`, `-codec_whitelist`;
ffmpeg-formats and ffmpeg-codecs manuals) and may open local files only (`-protocol_whitelist`).
"""

from __future__ import annotations

PROTOCOLS = ("file",)

DEMUXERS = ("mov", "matroska", "mpegts", "mpeg", "avi", "flv", "mxf", "ogg", "asf", "mp3", "wav", "flac", "aac")

# ffprobe's codec names, each with the decoders that may read it (their names differ where a codec has several).
VIDEO_CODECS = {
    "h264": ("h264",),
    "hevc": ("hevc",),
    "av1": ("libdav1d", "av1"),
    "vp8": ("vp8",),
    "vp9": ("vp9",),
    "mpeg1video": ("mpeg1video",),
    "mpeg2video": ("mpeg2video",),
    "mpeg4": ("mpeg4",),
    "msmpeg4v3": ("msmpeg4",),
    "h263": ("h263",),
    "mjpeg": ("mjpeg",),
    "prores": ("prores",),
    "dnxhd": ("dnxhd",),
    "dvvideo": ("dvvideo",),
    "cfhd": ("cfhd",),
    "ffv1": ("ffv1",),
    "theora": ("theora",),
    "wmv1": ("wmv1",),
    "wmv2": ("wmv2",),
    "wmv3": ("wmv3",),
    "vc1": ("vc1",),
}

# Read by FFmpeg, and never by ffprobe, which is older and has a hole there (`media.ffmpeg_faults`): `ingest.vvc`.
UNPROBED_CODECS = {"vvc": ("vvc",)}

AUDIO_CODECS = {
    "aac": ("aac",),
    "aac_latm": ("aac_latm",),
    "mp2": ("mp2float", "mp2"),
    "mp3": ("mp3float", "mp3"),
    "ac3": ("ac3",),
    "eac3": ("eac3",),
    "dts": ("dca",),
    "truehd": ("truehd",),
    "opus": ("opus", "libopus"),
    "vorbis": ("vorbis",),
    "flac": ("flac",),
    "alac": ("alac",),
    "amr_nb": ("amrnb",),
    "amr_wb": ("amrwb",),
    "adpcm_ms": ("adpcm_ms",),
    "adpcm_ima_wav": ("adpcm_ima_wav",),
    "adpcm_ima_qt": ("adpcm_ima_qt",),
    "s302m": ("s302m",),
    "wmav1": ("wmav1",),
    "wmav2": ("wmav2",),
    "wmapro": ("wmapro",),
    **{
        f"pcm_{kind}": (f"pcm_{kind}",)
        for kind in (
            *("u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be"),
            *("f32le", "f32be", "f64le", "f64be", "alaw", "mulaw", "bluray", "dvd"),
        )
    },
}

# Cover pictures of music.
PICTURE_CODECS = {"mjpeg": ("mjpeg",), "png": ("png",), "bmp": ("bmp",), "gif": ("gif",), "webp": ("webp",)}

# Read by ffprobe only to describe a file: cover pictures of videos, and subtitles, which are listed but not converted yet.
OTHER_DECODERS = (
    *("png", "bmp", "gif", "webp"),
    *("subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text", "pgssub", "dvdsub", "dvbsub", "cc_dec"),
    *("libzvbi_teletextdec", "libaribcaption", "libaribb24"),
)

DECODERS = tuple(name for names in (*VIDEO_CODECS.values(), *AUDIO_CODECS.values()) for name in names)
