"""The sound of a title: a whole track in one encoder run, or one segment of it alone.

In front of what is kept every run has exactly one coded frame, which is cut off (docs/decisions/0005-audio-priming.md). AAC's encoder
puts it there itself. That of E-AC-3 puts 256 samples there, a block; the other five are sound from before the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from pathlib import Path

import ffmpeg

from kit.process import Command
from kit.sandbox import Confinement
from media import accepted
from media.codecs import AAC_LC, EAC3
from media.grid import AUDIO_RATE_HZ, EAC3_FRAME_SAMPLES
from media.plan import EncodePlan
from media.rendition import AudioRendition
from transcode.ffmpeg.run import PLAIN, SMALL_MEMORY_BYTES, UNINDEXED, Stream, Work, command_of, confinement, file_url, sound_of
from transcode.table import PRIMING_FRAMES

RUN_UP_SAMPLES, RUN_OUT_SAMPLES = 98_304, 8_192  # about two seconds, and a sixth of one

LAYOUTS = {2: "stereo", 6: "5.1"}
NAMED_LAYOUTS = (*range(1, 9), 10, 12, 14, 16, 24)  # numbers of channels that FFmpeg has a usual layout for
LIMIT = round(10 ** (-1 / 20), 6)  # -1 dBFS

_FRAGMENTS = "default_base_moof+cmaf+skip_trailer"


@dataclass(frozen=True, slots=True)
class _Encoder:
    """An encoder of FFmpeg's. `lead` and `tail`: samples that it is given from before and behind the frames that are wanted."""

    name: str
    movflags: str
    lead: int = 0
    tail: int = 0


_BLOCK = 256  # samples: ETSI TS 102 366; FFmpeg's encoder is late by one
_ENCODERS: Mapping[str, _Encoder] = {
    AAC_LC: _Encoder("aac", f"+empty_moov+{_FRAGMENTS}"),
    EAC3: _Encoder("eac3", f"+delay_moov+{_FRAGMENTS}", EAC3_FRAME_SAMPLES - _BLOCK, _BLOCK),  # the header is written from a frame
}


def audio_command(work: Work, track: AudioRendition) -> Command:
    """The whole of `track` in one encoder run, to `out_dir`/<name>.mp4: `grid.audio_frames` coded frames behind one of priming.

    Gaps become silence, and the track is begun and ended with the video, so that sample n is heard n / 48,000 s into the title.
    """
    return _audio_run(work, track, *whole_track(work.plan, track), None)


def audio_segment_command(work: Work, track: AudioRendition, index: int) -> tuple[Command, int]:
    """One segment of `track` by itself, for a viewer who cannot wait for the whole; and how many coded frames come before it in
    the output, priming included.
    """
    first, _ = work.plan.grid.audio_bounds(index, track.frame_samples)
    begin, until = audio_run(work.plan, track, work.info.container, index)
    start = work.plan.origin + Fraction(begin * track.frame_samples, AUDIO_RATE_HZ)
    if work.info.video is None:  # FFmpeg finds the place itself, and what lies less than 20 ms before it would not be cut off (`_sound`)
        start -= Fraction(1, 4)
    return _audio_run(work, track, begin, until, start if begin else None), PRIMING_FRAMES + first - begin


def whole_track(plan: EncodePlan, track: AudioRendition) -> tuple[int, int]:
    """All of its coded frames, as `audio_run` gives those of a segment."""
    return 0, plan.grid.audio_frames(track.frame_samples)


def audio_run(plan: EncodePlan, track: AudioRendition, container: str, index: int) -> tuple[int, int]:
    """The coded frames [begin, end) to encode for one segment of the track.

    The run begins two seconds early, so that decoder and encoder have settled when the segment begins, and ends a little late, because
    the encoder looks ahead. Where the container has no index to find that place with, it begins at the start; so it does in Matroska
    without pictures, whose times are rounded to milliseconds: there is little to decode, and so the sound lies on the sample.
    """
    first, end = plan.grid.audio_bounds(index, track.frame_samples)
    unindexed = UNINDEXED if plan.video else (*UNINDEXED, "matroska")
    seekable = not any(name in unindexed for name in container.split(","))
    begin = max(0, first - ceil(RUN_UP_SAMPLES / track.frame_samples)) if seekable else 0
    return begin, min(whole_track(plan, track)[1], end + ceil(RUN_OUT_SAMPLES / track.frame_samples))


def loudness_command(work: Work, track: AudioRendition) -> Command:
    """How loud the track is that `audio_command` has made: `transcode.loudness` reads what it prints."""
    made = work.out_dir / f"{track.name}.mp4"
    decoder = _ENCODERS[track.codecs].name  # FFmpeg's encoders and decoders of sound have the same
    sound = ffmpeg.input(file_url(made), protocol_whitelist=",".join(accepted.PROTOCOLS), format_whitelist="mov", codec_whitelist=decoder)
    return _measured(work, sound["a:0"], replace(confinement(work, SMALL_MEMORY_BYTES), reads=(made,)))


def source_loudness_command(work: Work, track: AudioRendition) -> Command:
    """How loud it will be as it is, from the whole of the source: the first of the two passes that make it as loud as others."""
    return _measured(work, _sound(work, track, *whole_track(work.plan, track), None), confinement(work, SMALL_MEMORY_BYTES))


def _measured(work: Work, sound: Stream, confine: Confinement) -> Command:
    output = ffmpeg.output(sound.filter("ebur128", peak="true", framelog="quiet"), "-", f="null")
    command = command_of([output], work.program, confine, timeout_s=300 + float(work.info.duration))
    told = tuple("level+info" if word == "level+error" else word for word in command.argv)  # the figures come at this level
    return replace(command, argv=told)


def _audio_run(work: Work, rendition: AudioRendition, begin: int, end: int, seek: Fraction | None) -> Command:
    """Coded frames [begin, end) of the track, in one encoder run. `seek`: the source time to begin reading at."""
    output = audio_output(_sound(work, rendition, begin, end, seek), rendition, work.out_dir)
    # Audio is computed in floating point, which SIMD code of different CPUs rounds differently. Plain code costs 3 % more here.
    confine = confinement(work, SMALL_MEMORY_BYTES)
    return command_of([output], work.program, confine, timeout_s=300 + float(work.info.duration), cpu_flags="0")


def _sound(work: Work, rendition: AudioRendition, begin: int, end: int, seek: Fraction | None) -> Stream:
    """What is encoded as these frames."""
    stream = next(item for item in work.info.audio if item.index == rendition.source_index)
    encoder = _ENCODERS[rendition.codecs]
    samples = encoder.lead + (end - begin) * rendition.frame_samples + encoder.tail
    shift = round(work.plan.origin * AUDIO_RATE_HZ) + begin * rendition.frame_samples - encoder.lead
    sound = sound_of(work, stream, seek)
    sound = sound.filter("asettb", f"1/{AUDIO_RATE_HZ}").filter("asetpts", f"PTS-({shift})")
    if stream.channels == 1:
        sound = sound.filter(
            "channelmap", map="0|0", channel_layout="stereo"
        )  # at full level on both sides; the resampler's own mix is 3 dB lower
    elif stream.channels not in NAMED_LAYOUTS:  # nobody can know where these are heard from
        sound = sound.filter("pan", "stereo|c0=c0|c1=c1")
    if rendition.limited:  # mixed in integers, it would be clipped before the limiter sees it
        sound = sound.filter("aformat", sample_fmts="fltp")
    # Gaps are filled and overlaps dropped from 20 ms on; at swresample's own 100 ms, lips would be seen to be out of step.
    sound = sound.filter("aresample", AUDIO_RATE_HZ, **{"async": 1, "min_hard_comp": 0.02, "first_pts": 0})
    sound = sound.filter("aformat", sample_fmts="fltp", channel_layouts=LAYOUTS[rendition.channels])
    if rendition.gain_db:
        sound = sound.filter("volume", f"{rendition.gain_db}dB")
    if rendition.limited:
        sound = sound.filter("alimiter", limit=LIMIT, attack=5, release=50, level=0, latency=1).filter("aformat", sample_fmts="fltp")
    return sound.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)


def audio_output(sound: Stream, rendition: AudioRendition, out_dir: Path) -> Stream:
    encoder = _ENCODERS[rendition.codecs]
    options: dict[str, str | int] = {
        "c:a": encoder.name,
        "b:a": rendition.bitrate_bps,
        "ar": rendition.sample_rate_hz,
        "ac": rendition.channels,
        "flags:a": "+bitexact",
        "use_editlist": 0,  # the priming frame is cut off instead (`transcode.cut`)
        "flush_packets": 1,  # the file is read while it grows
        "frag_duration": 2_000_000,  # microseconds; only how much FFmpeg holds before it writes
        "movflags": encoder.movflags,
    }
    return ffmpeg.output(sound, file_url(out_dir / f"{rendition.name}.mp4"), f="mp4", **options, **PLAIN)
