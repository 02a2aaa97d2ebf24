"""A stream of uploads: several clients at once, as many titles under way as the machine bears."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bench.chaos.client import Client, Order, Sent

_UNDER_WAY = 12  # titles; more would only wait


class Stream:
    """Begins at once. `end` lets every client finish what it is doing."""

    def __init__(self, url: str, key: str, engine: Engine, orders: Callable[[int], Order], clients: int) -> None:
        """`orders` says what the upload of a number is to be."""
        self._url, self._key, self._engine, self._orders = url, key, engine, orders
        self._lock, self._next = threading.Lock(), 0
        self._full, self._give_up = threading.Event(), threading.Event()
        self.sent: list[Sent] = []
        self.broken: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, name=f"client {number}", daemon=True) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def end(self, limit_s: float) -> tuple[Sent, ...]:
        """What was sent. Who has not finished after `limit_s` gives up, and says so."""
        self._full.set()
        end_s = time.monotonic() + limit_s
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))
        self._give_up.set()
        for thread in self._threads:
            thread.join(60)
        if self.broken:
            raise self.broken[0]
        return tuple(self.sent)

    def _run(self) -> None:
        client = Client(self._url, self._key, self._give_up)
        try:
            while not self._full.is_set():
                if self._room():
                    with self._lock:
                        number, self._next = self._next, self._next + 1
                    self.sent.append(client.carry_out(self._orders(number)))
                else:
                    self._full.wait(0.5)
        except BaseException as error:  # noqa: BLE001 - a bug of ours: told by `end`, in the thread that can stop the run
            self.broken.append(error)
        finally:
            client.close()

    def _room(self) -> bool:
        try:
            with self._engine.connect() as conn:
                return int(conn.execute(text("SELECT count(*) FROM assets WHERE status = 'processing'")).scalar_one()) < _UNDER_WAY
        except SQLAlchemyError:
            return True  # the database is away: clients are to try all the same
