"""The relay: turns rows of the outbox into messages, soon after they are committed.

PostgreSQL's NOTIFY says when to look, and the table what to send. A message is sent before its row is forgotten, so a crash in
between doubles it, which is harmless, and never loses it. Any number of relays may run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from kit import db, job_store, log
from kit.endurance import Endurance
from kit.world import World

_LISTEN_S = 1.0  # also how soon a stop is noticed
_PAUSE_S = 2.0  # after a failure

_log = log.logger(__name__)


def flush(world: World, ring: Callable[[str], None]) -> int:
    """Sends what is in the outbox; returns how many. Raises what `ring` raises (Unavailable) and what `kit.db.is_away` knows."""
    sent = 0
    while True:
        with world.db.begin() as conn:
            bells = job_store.take_bells(conn)
            for bell in bells:
                ring(bell.job_id)
            job_store.forget_bells(conn, bells)
        if not bells:
            return sent
        sent += len(bells)


def relay(world: World, ring: Callable[[str], None], stop: threading.Event) -> None:
    """Sends until `stop` is set, through outages of the database and the broker."""
    endurance = Endurance(_log, away="messages wait in the outbox", back="messages are sent again", broke="sending messages broke")

    def listen() -> None:
        with db.Listener(world.db, job_store.CHANNEL) as listener:
            while not stop.is_set():
                flush(world, ring)
                endurance.is_well()
                listener.wait(_LISTEN_S)

    while not stop.is_set():
        endurance.through(listen)
        stop.wait(_PAUSE_S)
