"""Rules of E-AC-3 (Dolby Digital Plus) in fragmented MP4: E1 and E2. Of encrypted samples only what the boxes say is judged."""

from __future__ import annotations

from collections.abc import Iterator

from hls_validation.bits import Truncated, eac3_configuration, eac3_frame
from hls_validation.boxes import Track
from hls_validation.finding import Chapter, Issue, Level
from hls_validation.presentation import Presentation, Rendition

CHAPTER = Chapter()
rule = CHAPTER.rule

_ENTRY = "ec-3"
_FRAME_SAMPLES = 1536  # six blocks


def _heard(look: Presentation) -> Iterator[tuple[Rendition, Track]]:
    for rendition in look.timed:
        track = rendition.track("soun")
        if track is not None and track.entry == _ENTRY:
            yield rendition, track


def _declared(look: Presentation, rendition: Rendition) -> set[str]:
    """CHANNELS of every EXT-X-MEDIA that names this playlist. Objects ("16/JOC") are not channels."""
    top = look.multivariant
    tags = [tag for tag in top.media if top.address(tag) == rendition.url] if top is not None else []
    return {value for tag in tags if (value := tag.get("CHANNELS")) is not None and value.isdigit()}


@rule("E1", Level.MUST, "ETSI TS 102 366 F.1, F.5, F.6", "E-AC-3 has a dec3 box, with the track’s sampling rate and what CHANNELS says.")
def _configuration(look: Presentation) -> Iterator[Issue]:
    for rendition, track in _heard(look):
        try:
            said = eac3_configuration(track.dec3)
        except Truncated as error:
            yield Issue(rendition.url, f"there is no dec3 box that can be read: {error}")
            continue
        if said.rate_hz != track.timescale:
            yield Issue(rendition.url, f"dec3 says {said.rate_hz or 'another'} Hz, the timescale is {track.timescale}")
        for declared in _declared(look, rendition):
            if said.channels is not None and int(declared) != said.channels:
                yield Issue(rendition.url, f"CHANNELS is {declared}, dec3 says {said.channels}")


@rule("E2", Level.MUST, "ETSI TS 102 366 annexes E, F", "A sample of E-AC-3 is a frame of six blocks, of the kind that dec3 says.")
def _frames(look: Presentation) -> Iterator[Issue]:
    for rendition, track in _heard(look):
        for seen in rendition.seen:
            for part in seen.fragments:
                says = _wrong(track, part.first, part.frame_ticks) if part.track == track.identity else None
                if says is not None:
                    yield Issue(f"{rendition.url}:{rendition.playlist.segments[seen.index].line}", says)
                    break


def _wrong(track: Track, sample: bytes, ticks: int) -> str | None:
    if ticks != _FRAME_SAMPLES:
        return f"a sample lasts {ticks} ticks instead of {_FRAME_SAMPLES}"
    if track.scheme is not None:
        return None
    try:
        frame, said = eac3_frame(sample), eac3_configuration(track.dec3)
    except Truncated as error:
        return str(error)
    return None if frame == said else "a frame is of another kind than dec3 says"
