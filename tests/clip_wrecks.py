"""Recipes of files that must be refused, or that lie."""

from __future__ import annotations

import struct

from tests.clip_recipes import AAC, X264, Workshop, picture, recipe, tone

NEVER_OPENED = "file:///etc/passwd"


def _cut(name: str, of: str, suffix: str, share: float = 0.6) -> None:
    @recipe(name, suffix)
    def _make(shop: Workshop) -> None:
        whole = shop.of(of).read_bytes()
        shop.out.write_bytes(whole[: int(len(whole) * share)])


_cut("truncated-index-first", "fast-start", ".mp4")
_cut("truncated-index-last", "plain", ".mp4")
_cut("truncated-fragmented", "fragmented", ".mp4")
_cut("truncated-mkv", "mkv", ".mkv")
_cut("truncated-webm", "webm", ".webm")
_cut("truncated-avi", "avi", ".avi")
_cut("truncated-flv", "flv", ".flv")
_cut("truncated-ts", "ts", ".ts")
_cut("truncated-start", "fast-start", ".mp4", 0.001)


def _bytes(name: str, content: bytes, suffix: str = ".mp4") -> None:
    @recipe(name, suffix)
    def _make(shop: Workshop) -> None:
        shop.out.write_bytes(content)


_bytes("empty", b"")
_bytes("one-byte", b"\x00")
_bytes("text", b"Dear video,\n\nthis is only a letter.\n" * 40)
_bytes("html", b"<!doctype html><title>404</title><p>Not found\n" * 20)
_bytes("zip", b"PK\x03\x04" + bytes(range(256)) * 16)
_bytes("zeros", bytes(64 * 1024))
_bytes("playlist", f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{NEVER_OPENED}\n#EXT-X-ENDLIST\n".encode())
_bytes("playlist-live", b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/segment.ts\n")
_bytes("playlist-of-itself", b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nplaylist-of-itself.mp4\n")
_bytes("ffconcat", f"ffconcat version 1.0\nfile '{NEVER_OPENED}'\nfile {NEVER_OPENED}\n".encode())
_bytes("sdp", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n")
_bytes("dash", b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file:///etc/passwd</BaseURL></MPD>')
_bytes("svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>')


@recipe("picture", ".mp4")
def _picture(shop: Workshop) -> None:
    """A PNG by another name."""
    png = shop.out.with_suffix(".png")
    shop.ffmpeg(*picture(seconds=1), "-frames:v", "1", str(png))
    png.rename(shop.out)


@recipe("encrypted")
def _encrypted(shop: Workshop) -> None:
    """Common Encryption, whose key nobody gave us."""
    secret = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "00" * 16, "-encryption_kid", "11" * 16)
    shop.ffmpeg("-i", str(shop.of("rate-25")), "-c", "copy", *secret, str(shop.out))


@recipe("claims-a-day", ".mkv")
def _claims_a_day(shop: Workshop) -> None:
    """4 s of video whose header claims a day (Matroska's Duration, a double in milliseconds, and the tags of the tracks)."""
    data = bytearray(shop.of("mkv").read_bytes().replace(b"DURATION", b"DELUSION"))
    at = data.index(b"\x44\x89\x88") + 3
    struct.pack_into(">d", data, at, 86_400_000.0)
    shop.out.write_bytes(data)


@recipe("gap-of-a-day")
def _gap_of_a_day(shop: Workshop) -> None:
    """Two bursts of frames with a day between them: a constant frame rate would make millions of frames of it."""
    leap = "setpts='PTS+gte(N,6)*86400/TB'"
    shop.ffmpeg(*picture(seconds=1, rate="12", more=leap), *X264, "-fps_mode", "passthrough", str(shop.out))


@recipe("gap-of-an-hour")
def _gap_of_an_hour(shop: Workshop) -> None:
    leap = "setpts='PTS+gte(N,6)*3600/TB'"
    shop.ffmpeg(*picture(seconds=1, rate="12", more=leap), *X264, "-fps_mode", "passthrough", str(shop.out))


@recipe("many-tracks")
def _many_tracks(shop: Workshop) -> None:
    """One picture track and forty of sound."""
    sound = tuple(part for _ in range(40) for part in ("-map", "1"))
    shop.ffmpeg(*picture(seconds=1), *tone(1), "-map", "0", *sound, *X264, *AAC, str(shop.out))
