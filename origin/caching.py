"""How long each kind of answer may be kept, by browsers and other people's caches, and by our own edge.

Everything under a plan digest never changes, so clients may keep it for a year. The multivariant playlist, the DASH manifest and
the poster at the stable address change when a title is published again, so they are short-lived.

Our edge obeys a targeted field of its own (RFC 9213 section 3) instead of Cache-Control, because it stands next to the origin
and can ask again at no cost: a deleted title is gone from its playlists within a minute, whatever browsers were allowed to
keep. Segments stay up to two hours longer: a viewer may finish what is being watched, and without a playlist nobody else
finds them (draft-pantos-hls-rfc8216bis section 6.2.1 wants them to outlive their playlist). How long the edge may answer
with stale bytes while the origin is down is set in `origin.edge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from origin.paths import Kind

EDGE_FIELD = "Headwater-Edge-Cache-Control"


@dataclass(frozen=True, slots=True)
class CachePolicy:
    cache_control: str  # for everyone
    edge: str  # for our own edge, instead

    def headers(self) -> dict[str, str]:
        return {"Cache-Control": self.cache_control, EDGE_FIELD: self.edge}


_IMMUTABLE = CachePolicy("public, max-age=31536000, immutable", "max-age=3600, stale-while-revalidate=3600")
_CURRENT = CachePolicy("public, max-age=60, stale-while-revalidate=600, stale-if-error=86400", "max-age=2, stale-while-revalidate=8")

POLICIES: Mapping[Kind, CachePolicy] = {
    "multivariant": _CURRENT,
    "manifest": _CURRENT,
    "poster": _CURRENT,
    "playlist": CachePolicy("public, max-age=3600, s-maxage=86400", "max-age=10, stale-while-revalidate=20"),
    "init": _IMMUTABLE,
    "segment": _IMMUTABLE,
    "iframe": _IMMUTABLE,
    "still": _IMMUTABLE,
    "thumbnail": _IMMUTABLE,
    "moment": _CURRENT,
    "storyboard": _CURRENT,
    "preview": _CURRENT,
    "text": _IMMUTABLE,
    "chapters": _CURRENT,
    "download": _CURRENT,
    "key": CachePolicy("no-store", "no-store"),  # it must not outlive the right to have it
}
MISSING = CachePolicy("public, max-age=2", "max-age=2")  # the title may be published the next moment
NEVER = CachePolicy("no-store", "no-store")  # refusals and failures: not the next viewer's business


def error_policy(status: int) -> CachePolicy:
    """For a 4xx or 5xx answer."""
    return MISSING if status in (404, 410) else NEVER
