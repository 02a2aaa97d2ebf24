"""Thumbnails of any moment, as values: what a request asks for, and the address that answers it.

`/thumbnail.jpg?t=&width=` is answered with a redirection to the thumbnail of the group of pictures that is on show at that time. There
are as many of those as groups and widths, each has one address, and an edge can keep it for ever.
"""

from __future__ import annotations

import re
from fractions import Fraction
from urllib.parse import parse_qs

from kit.errors import BadRequest, NotFound
from media import pictures
from media.plan import EncodePlan
from origin.caching import POLICIES
from origin.delivery import COMMON_HEADERS, Answer

DEFAULT_WIDTH = 320
OF_WIDTH = "t/"  # how `origin.store.Place` spells the thumbnails of a width, as if these were a rendition
_TIME = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?")


def moment(query: str) -> tuple[Fraction, int]:
    """The time in seconds and the width that a query asks for. Raises BadRequest."""
    asked = parse_qs(query, keep_blank_values=True, max_num_fields=20) if len(query) <= 2000 else {}
    time, width = (asked.get(name, [""])[0] for name in ("t", "width"))
    if time and not _TIME.fullmatch(time):
        raise BadRequest("t is a time in seconds, such as 12 or 12.5.", code="bad_time")
    widths = ", ".join(map(str, pictures.THUMBNAIL_WIDTHS))
    if width and width not in map(str, pictures.THUMBNAIL_WIDTHS):
        raise BadRequest(f"Thumbnails are made in these widths: {widths}.", code="bad_width")
    return Fraction(time or 0), int(width or DEFAULT_WIDTH)


def redirection(plan: EncodePlan, query: str) -> Answer:
    """To the picture that shows this moment. Raises BadRequest, and NotFound where there is only sound."""
    if not plan.video:
        raise NotFound("There are no pictures in it.", code="picture_not_found")
    time_s, width = moment(query)
    where = f"{plan.digest}/{pictures.thumbnail(width, pictures.gop_at(plan, time_s))}"
    return Answer(302, {**COMMON_HEADERS, **POLICIES["moment"].headers(), "Location": where, "Content-Length": "0"})


def width_of(rendition: str) -> int | None:
    """The width of thumbnails that a place is about; None for segments."""
    return int(rendition.removeprefix(OF_WIDTH)) if rendition.startswith(OF_WIDTH) else None
