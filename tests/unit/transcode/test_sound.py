"""Which renditions a source's tracks of sound become."""

from __future__ import annotations

from dataclasses import replace

import pytest

from media.codecs import AAC_LC, EAC3
from media.info import AudioStream
from tests.sources import sound, source, video
from transcode.plan import PlanOptions, make_plan, with_gains
from transcode.profiles import PROFILES, SURROUND, Named
from transcode.sound import DESCRIBES_VIDEO, ENHANCES_SPEECH, MOST_TRACKS, main_track, renditions


def test_one_stereo_track_is_what_it_always_was() -> None:
    (only,) = renditions([sound(index=3)])
    assert (only.name, only.group, only.label, only.source_index, only.channels) == ("audio", "audio", "Audio", 3, 2)
    assert (only.default, only.autoselect, only.characteristics, only.limited, only.gain_db) == (True, True, (), False, 0.0)
    assert renditions([]) == ()


def test_every_track_is_there_and_the_default_one_first() -> None:
    tracks = [sound(index=1, default=False), sound(index=2, language="fr"), sound(index=4, default=False, language="und")]
    made = renditions(tracks)
    assert [(item.name, item.source_index, item.language, item.default) for item in made] == [
        ("audio", 2, "fr", True), ("audio-2", 1, "en", False), ("audio-3", 4, "und", False),
    ]  # fmt: skip
    assert [item.label for item in made] == ["French", "English", "Audio 3"]
    assert all(item.autoselect for item in made)


def test_a_track_of_six_channels_is_there_in_two_forms() -> None:
    made = renditions([sound(index=1, channels=6), sound(index=2, default=False, language="de"), sound(index=3, default=False, channels=8)])
    assert [(item.name, item.group, item.channels, item.source_index) for item in made] == [
        ("audio", "audio", 2, 1), ("audio-2", "audio", 2, 2), ("audio-3", "audio", 2, 3),
        ("audio-51", "surround", 6, 1), ("audio-3-51", "surround", 6, 3),
    ]  # fmt: skip
    assert [item.limited for item in made] == [True, False, True, False, True]  # wherever channels are added up
    assert made[3].label == made[0].label and made[3].default
    assert [item.channels for item in renditions([sound(channels=5)])] == [2]
    assert [item.limited for item in renditions([sound(channels=1)])] == [False]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("alone", [False, True])
def test_a_profile_says_in_which_forms_surround_is_there(profile: Named, *, alone: bool) -> None:
    """Stereo and 5.1 in AAC always, so that whoever cannot play E-AC-3 misses nothing."""
    tracks = [sound(index=1, channels=6), sound(index=2, default=False), sound(index=3, default=False, channels=8)]
    film = source(video(640, 360, seconds=10), *tracks)
    made = make_plan(replace(film, video=None) if alone else film, "digest", PlanOptions(profile=profile), "encoder").audio
    wide = [item for item in made if item.channels == 6]
    dolby = profile in ("h264+hevc", "archive")
    assert [(item.name, item.codecs, item.group, item.bitrate_bps // 1000) for item in wide] == [
        ("audio-51", AAC_LC, "surround", 320), ("audio-3-51", AAC_LC, "surround", 320),
        *([("audio-ec3", EAC3, "ec3", 448), ("audio-3-ec3", EAC3, "ec3", 448)] if dolby else []),
    ]  # fmt: skip
    assert [item.limited for item in wide] == [False, True] * (2 if dolby else 1)
    assert {item.codecs for item in made if item.channels == 2} == {AAC_LC}
    assert {item.frame_samples for item in made} == ({1024, 1536} if dolby else {1024})
    plain = make_plan(source(video(640, 360, seconds=10), sound(channels=2)), "digest", PlanOptions(profile=profile), "encoder")
    assert [item.name for item in plain.audio] == ["audio"]
    assert set(SURROUND) == set(PROFILES)


def test_commentary_and_description_are_never_what_is_heard_first_unless_they_are_all_there_is() -> None:
    spoken = replace(sound(index=1, default=False), commentary=True)
    described = replace(sound(index=2, default=False), visual_impaired=True)
    film, clear = sound(index=3, default=False), replace(sound(index=4, default=False), hearing_impaired=True)
    assert main_track([spoken, described, film, clear]) is film
    assert main_track([spoken]) is spoken
    assert main_track([spoken, replace(described, default=True)]) == replace(described, default=True)  # the source insists
    made = {item.source_index: item for item in renditions([spoken, described, film, clear])}
    assert made[1].label == "English, commentary"
    assert made[2].label == "English, audio description"
    assert [made[index].autoselect for index in (1, 2, 3, 4)] == [False, True, True, True]
    assert (made[2].characteristics, made[4].characteristics) == ((DESCRIBES_VIDEO,), (ENHANCES_SPEECH,))


def test_names_of_tracks_are_the_sources_own_and_all_different() -> None:
    def labels(*titles: str) -> list[str]:
        tracks: list[AudioStream] = [replace(sound(index=index, default=False), title=title) for index, title in enumerate(titles)]
        return [item.label for item in renditions(tracks)]

    assert labels("Director", "") == ["Director", "English"]
    assert labels("", "", "") == ["English", "English (2)", "English (3)"]
    assert len(set(labels("A", "A", "A (2)"))) == 3


def test_no_more_tracks_than_anybody_needs() -> None:
    assert len(renditions([sound(index=index, default=False) for index in range(30)])) == MOST_TRACKS


def test_the_digest_of_a_title_with_one_plain_track_is_that_of_before_there_could_be_several() -> None:
    """Found with the planner of that time: what was encoded then is found again."""
    now = make_plan(source(video(640, 360, seconds=10), sound(seconds=10)), "digest", PlanOptions(), "encoder")
    made = with_gains(replace(now, video=tuple(replace(rung, first_gain=1.0) for rung in now.video)), {})  # as rungs were at that time
    assert made.digest == "0491290a7594bd9c6ae2e34de53bb9f7"
    several = make_plan(
        source(video(640, 360, seconds=10), sound(seconds=10), sound(index=2, default=False)), "digest", PlanOptions(), "encoder"
    )
    assert several.digest not in (made.digest, now.digest)
