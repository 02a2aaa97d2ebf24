"""Which tracks a source makes before anybody has read its text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from catalog import embedded, priority
from tests.assets import INFO, VIDEO
from worker import flow


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2video"])
def test_captions_that_can_be_taken_out_wait_until_it_is_known_what_they_say(codec: str) -> None:
    assert embedded.tracks_in(replace(INFO, closed_captions=True, video=replace(VIDEO, codec=codec))) == ()


@pytest.mark.parametrize("codec", ["av1", "vc1"])
def test_captions_in_other_pictures_are_told(codec: str) -> None:
    (told,) = embedded.tracks_in(replace(INFO, closed_captions=True, video=replace(VIDEO, codec=codec)))
    assert (told.kind, told.status, told.stream_index) == ("captions", "unsupported", embedded.CLOSED_CAPTIONS)
    assert "Upload them as a file" in str(told.detail)


def test_no_title_waits_for_captions_in_pictures_and_none_is_lost_for_want_of_them() -> None:
    assert embedded.HIDDEN not in flow.FOLLOWS
    assert embedded.HIDDEN in flow._EXTRAS
    assert priority.HIDDEN_TEXT < priority.POSTER


def test_channels_are_listed_in_their_order() -> None:
    assert sorted(embedded.CHANNELS, key=lambda name: embedded.CHANNELS[name]) == ["CC1", "CC2", "CC3", "CC4"]
    assert max(embedded.CHANNELS.values()) < embedded.CLOSED_CAPTIONS
