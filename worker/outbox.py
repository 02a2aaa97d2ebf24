"""The relay: turns rows of the outbox into messages, soon after they are committed.

PostgreSQL's NOTIFY says when to look, and the table what to send. A message is sent before its row is forgotten, so a crash in
between doubles it, which is harmless, and never loses it. Any number of relays may run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from kit import db, job_store, log
from kit.errors import HeadwaterError
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
    away = ""
    while not stop.is_set():
        try:
            with db.Listener(world.db, job_store.CHANNEL) as listener:
                while not stop.is_set():
                    flush(world, ring)
                    if away:
                        _log.info("messages are sent again")
                    away = ""
                    listener.wait(_LISTEN_S)
        except Exception as error:  # noqa: BLE001 - an edge of the process: it must live on to try again
            away = _explain(error, away)
            stop.wait(_PAUSE_S)


def _explain(error: Exception, said: str) -> str:
    """Says what is the matter, once; returns what was said."""
    if isinstance(error, HeadwaterError):
        reason = error.code
    elif db.is_away(error):
        reason = "database_unavailable"
    else:
        reason = "internal"
        _log.bug("sending messages broke", error)
    if reason not in {said, "internal"}:
        _log.warning("messages wait in the outbox", code=reason)
    return reason
