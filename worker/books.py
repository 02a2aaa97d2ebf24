"""What the flow asks of the database and writes into it, within one transaction: its whole view of the outside.

`Books` says what the rules of `worker.flow` rely on. `SqlBooks` is the product's; the simulation (`tests/simulation`) has one in memory,
so the rules that run there are the ones that run here. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

import catalog.store
from catalog import early, lost, track_store
from catalog.asset import Asset, AssetEvent
from catalog.lost import Lost
from kit import job_store
from kit.errors import NotFound
from kit.jobs import NewJob
from media.ids import AssetId
from media.plan import EncodePlan
from packager import text
from packager.dash import Piece, text_piece
from worker import arrival


@dataclass(frozen=True, slots=True)
class Manifests:
    """What a presentation is found by, both without text tracks."""

    playlist: str  # multivariant
    dash: Mapping[Piece, str]  # nothing where DASH cannot say how the title is encrypted


class Books(Protocol):
    """One transaction. Whoever changes anything has locked the asset."""

    def lock(self, asset_id: str) -> Asset | None:
        """The asset, changed by nobody else until the transaction ends; None when there is none."""
        ...

    def plan(self, asset_id: str) -> EncodePlan:
        """The plan that the asset has now. Raises NotFound when it has none yet."""
        ...

    def generation(self, asset_id: str) -> int | None:
        """The number of the attempt at sending a source that is worked on while it arrives; None for any other."""
        ...

    def is_published(self, asset_id: str) -> bool: ...

    def is_recorded(self, asset_id: str, plan_digest: str, rendition: str, index: int) -> bool:
        """Whether this segment is made."""
        ...

    def lost(self, asset_id: str, plan_digest: str) -> frozenset[str]:
        """The renditions that were given up."""
        ...

    def is_under_way(self, kind: str, subject: str) -> bool:
        """Whether that work is done, or will be."""
        ...

    def unfinished(self, asset_id: str, kinds: Collection[str]) -> int:
        """How many jobs of these kinds have not ended yet."""
        ...

    def gated(self, asset_id: str, jobs: Sequence[NewJob], plan: EncodePlan) -> list[NewJob]:
        """The jobs, those held back that read more of the source than has arrived."""
        ...

    def enqueue(self, jobs: Sequence[NewJob]) -> None: ...

    def playable(self, asset_id: str) -> None:
        """It can be watched from now on."""
        ...

    def lose(self, asset_id: str, plan_digest: str, renditions: Iterable[str], cause: Lost, instead: Manifests) -> None:
        """Gives renditions up, and lets the presentation that promised them be `instead`."""
        ...

    def give_up(self, asset_id: str, code: str, detail: str) -> None:
        """The whole title, with everything that is unfinished of it."""
        ...

    def drop_early(self, asset_id: str) -> None:
        """Undoes what was made of a source that is still arriving."""
        ...


@dataclass(frozen=True, slots=True)
class SqlBooks:
    """In PostgreSQL."""

    conn: Connection

    def lock(self, asset_id: str) -> Asset | None:
        try:
            return catalog.store.lock_asset(self.conn, asset_id)
        except NotFound:
            return None

    def plan(self, asset_id: str) -> EncodePlan:
        return catalog.store.load_plan(self.conn, AssetId(asset_id))

    def generation(self, asset_id: str) -> int | None:
        found = early.load(self.conn, asset_id)
        return None if found is None else found.generation

    def is_published(self, asset_id: str) -> bool:
        return catalog.store.current_presentation(self.conn, asset_id) is not None

    def is_recorded(self, asset_id: str, plan_digest: str, rendition: str, index: int) -> bool:
        return catalog.store.is_recorded(self.conn, asset_id, plan_digest, rendition, index)

    def lost(self, asset_id: str, plan_digest: str) -> frozenset[str]:
        return lost.names(self.conn, asset_id, plan_digest)

    def is_under_way(self, kind: str, subject: str) -> bool:
        return job_store.is_under_way(self.conn, kind, subject)

    def unfinished(self, asset_id: str, kinds: Collection[str]) -> int:
        return job_store.unfinished(self.conn, asset_id, kinds)

    def gated(self, asset_id: str, jobs: Sequence[NewJob], plan: EncodePlan) -> list[NewJob]:
        return arrival.gate(self.conn, asset_id, jobs, plan)

    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        job_store.enqueue_all(self.conn, jobs)

    def playable(self, asset_id: str) -> None:
        catalog.store.advance(self.conn, asset_id, AssetEvent.PLAYABLE)

    def lose(self, asset_id: str, plan_digest: str, renditions: Iterable[str], cause: Lost, instead: Manifests) -> None:
        lost.lose(self.conn, asset_id, plan_digest, renditions, cause)
        tracks = track_store.tracks_of(self.conn, [asset_id])[asset_id]
        facts: dict[str, Any] = {"bare": instead.playlist, "playlist": text.with_text(instead.playlist, tracks)}
        if instead.dash:
            facts["dash"] = {**instead.dash, "text": text_piece(text.renditions(tracks))}
        lost.republish(self.conn, asset_id, plan_digest, facts)

    def give_up(self, asset_id: str, code: str, detail: str) -> None:
        with suppress(NotFound):
            catalog.store.mark_errored(self.conn, asset_id, code, detail)
        job_store.cancel_asset(self.conn, asset_id)

    def drop_early(self, asset_id: str) -> None:
        early.drop(self.conn, asset_id)
