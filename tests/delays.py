"""Delays of jobs, ended by hand: a test waits for nothing but work."""

from __future__ import annotations

from sqlalchemy import text

from catalog.kinds import DIGEST
from kit.world import World


def end_delay(world: World, kind: str = DIGEST) -> bool:
    """Makes jobs of this kind due that were put off by less than a day. Whether there were any."""
    with world.db.begin() as conn:
        put_off = "kind = :kind AND state = 'queued' AND not_before > now() AND not_before < now() + interval '1 day'"
        return conn.execute(text(f"UPDATE jobs SET not_before = now() WHERE {put_off}"), {"kind": kind}).rowcount > 0
