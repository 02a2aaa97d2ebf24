"""What a query for a thumbnail means."""

from __future__ import annotations

from fractions import Fraction

import pytest

from kit.errors import BadRequest
from media.pictures import THUMBNAIL_WIDTHS
from origin.picture import moment, redirection
from tests.titles import plan_of

PLAN = plan_of(frames=24 * 15)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [("", (0, 320)), ("t=&width=", (0, 320)), ("t=7.5", (Fraction(15, 2), 320)), ("width=1280&t=3&CMCD=x%3D1", (3, 1280))],
)
def test_understood(query: str, wanted: tuple[Fraction, int]) -> None:
    assert moment(query) == wanted


@pytest.mark.parametrize(
    "query", ["t=-1", "t=1e3", "t=x", "t=1.2345", "t=1234567", "t=%D9%A3", "width=321", "width=0320", "width=x", "width=-1"]
)
def test_refused_with_a_sentence(query: str) -> None:
    with pytest.raises(BadRequest, match=r"time in seconds|these widths: 160"):
        moment(query)


def test_as_many_addresses_as_groups_and_widths_however_it_is_asked() -> None:
    found = {
        redirection(PLAN, f"t={tenth / 10:.1f}&width={width}").headers["Location"] for tenth in range(400) for width in THUMBNAIL_WIDTHS
    }
    assert len(found) == PLAN.grid.gop_count * len(THUMBNAIL_WIDTHS)
    assert f"{PLAN.digest}/t/640/00007.jpg" in found
