"""HLS playlists as text: RFC 8216 with the clarifications of draft-pantos-hls-rfc8216bis, and Apple's authoring rules.

Media and I-frame playlists follow from the plan alone: they are complete before anything is encoded, never change, and can be
cached forever under the plan's digest. In the multivariant playlist only bit rates change, from expected to measured ones, once.
Every address is relative, so a path prefix (a signed token, another host) carries over.

Layout below a presentation: `main.m3u8`, and for each rendition `{plan}/{rendition}/` with `index.m3u8`, `iframes.m3u8`
(video only), `init.mp4`, `00000.m4s`, `00001.m4s` …, and (video only) `i/00000.m4s` …, one for each group of pictures. The last
have no object of their own: the origin answers with a part of a segment. Byte ranges, the usual way to write an I-frame playlist,
cannot be known before the segment is encoded.

Durations are written in microseconds, each as the difference of the rounded ends of its segment: any contiguous run of them
is within a microsecond of the truth however long the title is (Apple rule 8.1 asks for one frame).

Apple rule numbers are those of the HLS authoring specification for Apple devices, revision 2025-06-26.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from media import keys
from media.ids import PlanDigest
from packager import sound
from packager.bandwidth import expected_video, iframe_rates, sound_rates, variant_rates
from packager.presentation import Presentation, Track, VideoTrack
from packager.protection import KeyTag
from packager.sound import AudioGroup

FIRST_VARIANT_BPS = 2_000_000  # Apple's default variant: what a player starts with before it has measured anything

# Protocol versions, RFC 8216 section 7: the lowest that holds the tags used.
_MAP_VERSION = 6  # EXT-X-MAP in a playlist of whole segments; fractional EXTINF needs only 3
_IFRAMES_VERSION = 5  # EXT-X-MAP in a playlist of I-frames; EXT-X-I-FRAMES-ONLY needs only 4
_MULTIVARIANT_VERSION = 4  # asks for nothing itself; section 7 suggests 4 so that clients without EXT-X-MEDIA stay away
_MULTIVARIANT_HEAD = ("#EXTM3U", f"#EXT-X-VERSION:{_MULTIVARIANT_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS")


def render_multivariant(presentation: Presentation, plan: PlanDigest) -> str:
    """The multivariant playlist, as found at `main.m3u8`. `presentation` must have a rendition.

    Which variant comes first is decided by the plan, so measuring changes nothing but numbers. It is one of H.264, which everything
    plays: a player may begin with it before it has looked at the others.
    """
    target_s, heard = presentation.target_duration_s, sound.groups(presentation.audio)
    if not presentation.video:
        return _text([*_MULTIVARIANT_HEAD, *_sound_alone(heard, plan, target_s)])
    common = [video for video in presentation.video if video.spec.codec == "h264"] or presentation.video
    first = min(common, key=lambda video: abs(expected_video(video.spec).bitrate_bps - FIRST_VARIANT_BPS))
    ordered = [first, *(video for video in presentation.video if video is not first)]
    lines = [*_MULTIVARIANT_HEAD, *(line for group in heard for line in sound.media_lines(group, plan))]
    for group in heard or (None,):
        for video in ordered:
            lines += [_variant(video, group, target_s), f"{plan}/{video.spec.name}/index.m3u8"]
    lines += [_iframe_variant(video, plan, presentation) for video in presentation.video]
    return _text(lines)


def _sound_alone(groups: Sequence[AudioGroup], plan: PlanDigest, target_s: int) -> list[str]:
    """The variants of a title without pictures: one for each form of the sound, whose playlist is that of the track that is heard unless
    somebody chooses. EXT-X-MEDIA is there only where there is something to choose, a track or its surround form."""
    groups = [group for group in groups if group.members[0].spec.group == group.name]
    chosen = len(groups[0].members) > 1 or len({group.members[0].spec.channels for group in groups}) > 1
    lines = [line for group in groups if chosen for line in sound.media_lines(group, plan)]
    for group in groups:
        rates = sound_rates(group.members, target_s)
        attributes = [
            f"BANDWIDTH={rates.peak_bps}",
            f"AVERAGE-BANDWIDTH={rates.bitrate_bps}",
            f'CODECS="{",".join(group.codecs)}"',
            *([f'AUDIO="{group.name}"'] if chosen else []),
        ]
        lines += [f"#EXT-X-STREAM-INF:{','.join(attributes)}", f"{plan}/{group.members[0].spec.name}/index.m3u8"]
    return lines


def _variant(video: VideoTrack, heard: AudioGroup | None, target_s: int) -> str:
    """A rung with one form of the sound."""
    rates = variant_rates(video, () if heard is None else heard.members, target_s)
    attributes = [
        f"BANDWIDTH={rates.peak_bps}",
        f"AVERAGE-BANDWIDTH={rates.bitrate_bps}",
        f'CODECS="{",".join((video.spec.codecs, *(() if heard is None else heard.codecs)))}"',
        f"RESOLUTION={video.spec.width}x{video.spec.height}",
        f"FRAME-RATE={_milli(video.spec.frame_rate)}",
        f"VIDEO-RANGE={video.spec.video_range}",
        *([] if heard is None else [f'AUDIO="{heard.name}"']),
        "CLOSED-CAPTIONS=NONE",
    ]
    return f"#EXT-X-STREAM-INF:{','.join(attributes)}"


def render_media(track: Track, target_s: int, key_tag: KeyTag | None = None) -> str:
    """The media playlist of one rendition, as found at `{plan}/{rendition}/index.m3u8`. `key_tag`: of a protected title."""
    lines = [*_media_head(_MAP_VERSION, target_s), "#EXT-X-INDEPENDENT-SEGMENTS", '#EXT-X-MAP:URI="init.mp4"']
    for index, seconds in enumerate(_extinf((end - start for start, end in track.spans), track.timescale)):
        lines += [*_key(key_tag, index), f"#EXTINF:{seconds},", f"{index:05d}.m4s"]
    return _text([*lines, "#EXT-X-ENDLIST"])


def render_iframes(track: VideoTrack, target_s: int, key_tag: KeyTag | None = None) -> str:
    """The I-frame playlist of one rung, as found at `{plan}/{rendition}/iframes.m3u8`.

    Each entry is one `moof` with the first sample after it (Apple rule 6.10) and lasts until the next one (RFC 8216 section
    4.3.3.6).
    """
    lines = [*_media_head(_IFRAMES_VERSION, target_s), "#EXT-X-I-FRAMES-ONLY", '#EXT-X-MAP:URI="init.mp4"']
    for gop, seconds in enumerate(_extinf(track.gop_ticks, track.timescale)):
        lines += [*_key(key_tag, gop), f"#EXTINF:{seconds},", keys.iframe_name(gop)]
    return _text([*lines, "#EXT-X-ENDLIST"])


def _iframe_variant(video: VideoTrack, plan: PlanDigest, presentation: Presentation) -> str:
    rates = iframe_rates(video, presentation.target_duration_s, padded=presentation.padded)
    attributes = [
        f"BANDWIDTH={rates.peak_bps}",
        f"AVERAGE-BANDWIDTH={rates.bitrate_bps}",
        f'CODECS="{video.spec.codecs}"',
        f"RESOLUTION={video.spec.width}x{video.spec.height}",
        f"VIDEO-RANGE={video.spec.video_range}",
        f'URI="{plan}/{video.spec.name}/iframes.m3u8"',
    ]
    return f"#EXT-X-I-FRAME-STREAM-INF:{','.join(attributes)}"


def _key(key_tag: KeyTag | None, index: int) -> list[str]:
    tag = None if key_tag is None else key_tag(index)
    return [] if tag is None else [tag]


def _media_head(version: int, target_s: int) -> list[str]:
    return [
        "#EXTM3U",
        f"#EXT-X-VERSION:{version}",
        f"#EXT-X-TARGETDURATION:{target_s}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]


def _extinf(durations_ticks: Iterable[int], timescale: int) -> Iterator[str]:
    """Seconds with six decimals, of consecutive spans that begin at 0."""
    ticks = before_us = 0
    for duration_ticks in durations_ticks:
        ticks += duration_ticks
        end_us = (2 * ticks * 1_000_000 + timescale) // (2 * timescale)
        yield f"{(end_us - before_us) // 1_000_000}.{(end_us - before_us) % 1_000_000:06d}"
        before_us = end_us


def _milli(rate: Fraction) -> str:
    """Frames per second with three decimals (RFC 8216 section 4.3.4.2)."""
    thousandths = (2 * rate.numerator * 1000 + rate.denominator) // (2 * rate.denominator)
    return f"{thousandths // 1000}.{thousandths % 1000:03d}"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
