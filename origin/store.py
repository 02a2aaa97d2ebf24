"""What the origin reads from the catalog's tables beyond `catalog.store`: segments by their place. It writes nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select, tuple_

from catalog import lost, pictures
from catalog.store import GIVEN_UP
from catalog.tables import assets, renditions, segments
from kit.errors import NotFound
from media.grid import GOPS_PER_SEGMENT, place_of_gop
from origin import picture


@dataclass(frozen=True, slots=True)
class Place:
    """One segment of one rendition of one plan, or the thumbnail of one group of pictures (`origin.picture.OF_WIDTH`), whether or not it
    has been made."""

    asset: str
    plan: str
    rendition: str
    index: int

    @property
    def of_rendition(self) -> str:
        """As it is spelled on `SEGMENTS_CHANNEL`."""
        return f"{self.asset}/{self.plan}/{self.rendition}"


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """A recorded segment. `keyframes` are the bytes [start, end) of the I-frame of each of its groups of pictures."""

    sha256: str  # hex
    size_bytes: int
    keyframes: tuple[tuple[int, int], ...]


_PLACE = (segments.c.asset_id, segments.c.plan_digest, segments.c.rendition, segments.c["index"])


def recorded(conn: Connection, places: Collection[Place]) -> dict[Place, SegmentFacts]:
    """Those of the segments and thumbnails that have been made."""
    of_pictures = [place for place in places if picture.width_of(place.rendition) is not None]
    return _segments(conn, [place for place in places if place not in of_pictures]) | _thumbnails(conn, of_pictures)


def _thumbnails(conn: Connection, places: Collection[Place]) -> dict[Place, SegmentFacts]:
    found: dict[Place, SegmentFacts] = {}
    for place in places:
        name = f"{place.rendition}/{place.index:05d}.jpg"
        if stored := pictures.find(conn, place.asset, place.plan, [name]).get(name):
            found[place] = SegmentFacts(stored.sha256, stored.size_bytes, ())
    return found


def _segments(conn: Connection, places: Collection[Place]) -> dict[Place, SegmentFacts]:
    if not places:
        return {}
    query = select(*_PLACE, segments.c.sha256, segments.c.size_bytes, segments.c.fragments)
    query = query.where(tuple_(*_PLACE).in_([(place.asset, place.plan, place.rendition, place.index) for place in places]))
    return {
        Place(asset, plan, rendition, index): SegmentFacts(
            sha256, size_bytes, tuple((offset, offset + keyframe_size) for offset, _, keyframe_size, _ in fragments)
        )
        for asset, plan, rendition, index, sha256, size_bytes, fragments in conn.execute(query)
    }


def given_up(conn: Connection, places: Collection[Place]) -> frozenset[Place]:
    """Those of the segments that will not be made any more, because their title or their rendition was given up."""
    asset_ids = sorted({place.asset for place in places})
    hopeless = assets.c.status.in_([str(status) for status in GIVEN_UP])
    alive = frozenset(conn.scalars(select(assets.c.id).where(assets.c.id.in_(asset_ids), ~hopeless)))
    gone = lost.causes(conn, asset_ids)
    return frozenset(place for place in places if place.asset not in alive or (place.asset, place.plan, place.rendition) in gone)


def place_of_iframe(conn: Connection, asset_id: str, plan_digest: str, rendition: str, gop: int) -> tuple[Place, int]:
    """The segment that holds a group of pictures, and the group's number in it. Raises NotFound."""
    query = select(renditions.c.segment_count).where(renditions.c.asset_id == asset_id, renditions.c.plan_digest == plan_digest)
    count = conn.execute(query.where(renditions.c.name == rendition, renditions.c.kind == "video")).scalar_one_or_none()
    if count is not None:
        index, number = place_of_gop(gop, count)
        if number <= GOPS_PER_SEGMENT:  # the last segment may have one more than the others
            return Place(asset_id, plan_digest, rendition, index), number
    raise NotFound("There is no such picture.", code="segment_not_found")
