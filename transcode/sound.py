"""Which renditions of sound a title gets. Pure.

Every track of the source is there as stereo, which everything can play. One of six channels or more is there as 5.1 as well, in every form
that its profile has (`transcode.profiles`), each a group of its own. The track that is heard unless somebody chooses is the source's
default, or its first that is no commentary and no audio description; it is called "audio", and its address is the one that the sound of a
title with one track has always had.

Downmixing follows ITU-R BS.775-3: centre and surrounds 3 dB lower into left and right, the low frequency channel left out. The sum can
be louder than full scale, so it goes through a limiter at -1 dBFS that leaves everything below it as it is.

Where there is nothing but sound, a player has no pictures to save on, so every track is there once more at half the rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from media.codecs import AAC_LC
from media.grid import AUDIO_RATE_HZ
from media.info import AudioStream
from media.language import UNKNOWN, name_of
from media.rendition import AudioRendition
from transcode import table
from transcode.profiles import AAC_51, Surround

STEREO, SURROUND = 2, 6
LOW_GROUP = "low"
MOST_TRACKS = 16  # of a source; a film for the whole world has fewer

# Uniform type identifiers: HLS authoring specification for Apple devices, "Media characteristics".
DESCRIBES_VIDEO = "public.accessibility.describes-video"
ENHANCES_SPEECH = "public.accessibility.enhances-speech-intelligibility"


def main_track(tracks: Sequence[AudioStream]) -> AudioStream | None:
    """The one that is heard unless somebody chooses, and that decides where the title begins and ends."""
    plain = [track for track in tracks if not track.commentary and not track.visual_impaired]
    wanted = [track for track in tracks if track.default] + plain + list(tracks)
    return wanted[0] if wanted else None


def renditions(tracks: Sequence[AudioStream], forms: Sequence[Surround] = (AAC_51,), *, alone: bool = False) -> tuple[AudioRendition, ...]:
    """All of them, the one that a title begins with first. `forms` are those of surround; `alone`: there are no pictures."""
    main = main_track(tracks)
    if main is None:
        return ()
    ordered = [main, *(track for track in tracks if track is not main)][:MOST_TRACKS]
    labels = _labels(ordered)
    stereo = [_stereo(track, place, label) for place, (track, label) in enumerate(zip(ordered, labels, strict=True), 1)]
    several = [(track, one) for track, one in zip(ordered, stereo, strict=True) if track.channels >= SURROUND]
    wide = (_surround(track, one, form) for form in forms for track, one in several)
    low = (replace(one, name=f"{one.name}-low", bitrate_bps=table.LOW_BITRATE_BPS, group=LOW_GROUP) for one in stereo)
    return (*stereo, *(low if alone else ()), *wide)


def _stereo(track: AudioStream, place: int, label: str) -> AudioRendition:
    return AudioRendition(
        name="audio" if place == 1 else f"audio-{place}",
        source_index=track.index,
        channels=STEREO,
        sample_rate_hz=AUDIO_RATE_HZ,
        bitrate_bps=table.AUDIO_BITRATE_BPS,
        codecs=AAC_LC,
        language=track.language or UNKNOWN,
        label=label,
        default=place == 1,
        autoselect=place == 1 or not track.commentary,
        characteristics=tuple(_characteristics(track)),
        limited=track.channels > STEREO,
    )


def _surround(track: AudioStream, stereo: AudioRendition, form: Surround) -> AudioRendition:
    return replace(
        stereo,
        name=f"{stereo.name}{form.suffix}",
        channels=SURROUND,
        bitrate_bps=form.bitrate_bps,
        codecs=form.codecs,
        group=form.group,
        limited=track.channels > SURROUND,
    )


def _characteristics(track: AudioStream) -> Iterator[str]:
    if track.visual_impaired:
        yield DESCRIBES_VIDEO
    if track.hearing_impaired:
        yield ENHANCES_SPEECH


def _labels(tracks: Sequence[AudioStream]) -> list[str]:
    """What viewers see: the source's own name of a track, or its language. No two are the same (RFC 8216 section 4.3.4.1.1)."""
    if len(tracks) == 1:
        return [tracks[0].title or "Audio"]
    plain = [track.title or _called(track, place) for place, track in enumerate(tracks, 1)]
    seen: Counter[str] = Counter()
    labels = []
    for label in plain:
        seen[label] += 1
        labels.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return labels if len(set(labels)) == len(labels) else [f"{label} [{place}]" for place, label in enumerate(plain, 1)]


def _called(track: AudioStream, place: int) -> str:
    language = f"Audio {place}" if track.language in ("", UNKNOWN) else name_of(track.language)
    if track.commentary:
        return f"{language}, commentary"
    return f"{language}, audio description" if track.visual_impaired else language
