"""What a source says of its light, read from ffprobe's words; anything impossible counts as nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.light import content_light, mastering_display, of_first_picture

MASTER: dict[str, Any] = {
    "side_data_type": "Mastering display metadata",
    "red_x": "34000/50000", "red_y": "16000/50000", "green_x": "13250/50000", "green_y": "34500/50000", "blue_x": "7500/50000",
    "blue_y": "3000/50000", "white_point_x": "15635/50000", "white_point_y": "16450/50000", "min_luminance": "1/10000",
    "max_luminance": "10000000/10000",
}  # fmt: skip
LIGHT = {"side_data_type": "Content light level metadata", "max_content": 1000, "max_average": 400}
SPELLED = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"


def test_what_a_first_picture_says() -> None:
    assert of_first_picture(json.dumps({"frames": [{"side_data_list": [LIGHT, MASTER]}]})) == (SPELLED, "1000,400")
    assert mastering_display([{**MASTER, "max_luminance": "1000/1"}]) == SPELLED  # another denominator, the same light


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"frames": 3}', '{"frames": [{}]}', '{"frames": [null]}', '{"frames": [{"side_data_list": [1]}]}']
)
def test_nothing_is_said(text: str) -> None:
    assert of_first_picture(text) == ("", "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"red_x": "60000/50000"}, {"green_y": "1/0"}, {"blue_x": "x"}, {"white_point_y": None}, {"max_luminance": "0/10000"},
        {"min_luminance": "2000/1"}, {"max_luminance": "20000/1"}, {"red_y": "-1/2"}, {"white_point_y": "0/1"},
    ],
)  # fmt: skip
def test_an_impossible_master_is_none(wrong: dict[str, Any]) -> None:
    assert mastering_display([{**MASTER, **wrong}]) == ""


@pytest.mark.parametrize("wrong", [{"max_content": 0}, {"max_content": "1000"}, {"max_average": -1}, {"max_content": 70_000}])
def test_an_impossible_light_level_is_none(wrong: dict[str, Any]) -> None:
    assert content_light([{**LIGHT, **wrong}]) == ""


@given(st.dictionaries(st.sampled_from([*MASTER, *LIGHT]), st.one_of(st.text(max_size=8), st.integers(), st.none(), st.floats())))
def test_whatever_is_said_becomes_words_for_an_encoder_or_nothing(said: dict[str, Any]) -> None:
    items = [{**MASTER, **said}, {**LIGHT, **said}]
    assert set(mastering_display(items)) <= set("GBRWPL(),0123456789")
    assert set(content_light(items)) <= set(",0123456789")
