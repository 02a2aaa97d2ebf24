"""Language tags of containers as BCP 47."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.languages import bcp47


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        *(("eng", "en"), ("fre", "fr"), ("fra", "fr"), ("ger", "de"), ("deu", "de"), ("chi", "zh"), ("jpn", "ja"), ("gsw", "gsw")),
        *(("en-US", "en-US"), ("pt_BR", "pt-BR"), ("eng-GB", "en-GB"), ("ENG", "en"), (" eng ", "en")),
        *(("und", "und"), ("mis", "und"), ("mul", "und"), ("zxx", "und"), ("", "und"), (None, "und"), ("```", "und"), ("x" * 60, "und")),
    ],
)
def test_tags(tag: str | None, expected: str) -> None:
    assert bcp47(tag) == expected


@given(st.text(max_size=50))
def test_nothing_else_comes_out_than_a_tag(text: str) -> None:
    tag = bcp47(text)
    assert 2 <= len(tag) <= 35
    assert all(part.isalnum() and part.isascii() for part in tag.split("-"))
