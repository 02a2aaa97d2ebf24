"""Watches `incoming/`: by bucket notifications where the store sends them, by listing otherwise.

Notifications are an extension of MinIO (and what speaks its dialect) that the `minio` package knows. Other stores refuse the
request, or ignore its parameters and answer with a plain listing; both mean "not offered", are found out once, and cost nothing
but the listing that would be made anyway. A notification only says "look now": what is there is always read from the bucket,
which is still listed now and then, so a lost notification loses nothing.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException

from ingest import incoming
from kit import log
from kit.endurance import Endurance
from kit.settings import Settings
from kit.world import World
from media import keys

_RELIST_S = 30.0  # between listings while notifications arrive
_RECONNECT_S = 2.0
_STOP_S = 0.5  # how soon a stop is noticed
_SILENCE_S = 30.0  # a stream that does not even send its keep-alive is dead

_log = log.logger(__name__)


class NotOffered(Exception):
    """The store does not send notifications."""


class _Bell:
    """Rings when something may have been dropped. `listening` is set while notifications can be relied on."""

    def __init__(self) -> None:
        self.rung = threading.Event()
        self.listening = threading.Event()

    def stream_opened(self) -> None:
        self.listening.set()
        self.rung.set()  # for what was dropped before anybody listened

    def stream_ended(self) -> None:
        self.listening.clear()
        self.rung.set()  # for what is dropped from now on, and so that the waiting is done as without notifications


class _Stream(urllib3.PoolManager):
    """The HTTP client that `minio` listens with: one request, then its end is an error.

    It tells a stream of notifications from the listing that a store sends which does not know them: the package would take
    that for an empty stream and ask again, without end.
    """

    def __init__(self, bell: _Bell) -> None:
        super().__init__(timeout=urllib3.Timeout(connect=5.0, read=_SILENCE_S), retries=False)
        self._bell = bell

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        if self._bell.listening.is_set():
            raise ConnectionResetError("the stream of notifications ended")
        answer = super().urlopen(method, url, redirect=redirect, **kw)
        if answer.status == 200:
            if "xml" in answer.headers.get("content-type", ""):
                answer.close()
                raise NotOffered("it answered with a listing")
            self._bell.stream_opened()
        return answer


def _listen(settings: Settings, bell: _Bell, stop: threading.Event) -> None:
    """Runs until `stop`, or until it is clear that the store sends no notifications."""
    while not stop.is_set():
        try:
            _listen_once(settings, bell, stop)
        except (NotOffered, MinioException, ValueError) as reason:
            _log.debug("the store sends no notifications; incoming/ is listed instead", reason=str(reason))
            return
        except (urllib3.exceptions.HTTPError, OSError):  # the store is away, or ended the stream
            stop.wait(_RECONNECT_S)
        finally:
            bell.stream_ended()


def _listen_once(settings: Settings, bell: _Bell, stop: threading.Event) -> None:
    address = urlsplit(settings.s3_endpoint)
    client = Minio(
        address.netloc,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        secure=address.scheme == "https",
        region=settings.s3_region,
        http_client=_Stream(bell),
    )
    with client.listen_bucket_notification(settings.s3_bucket, prefix=keys.INCOMING, events=("s3:ObjectCreated:*",)) as events:
        for _ in events:
            bell.rung.set()
            if stop.is_set():
                return


def watch(world: World, stop: threading.Event) -> None:
    """Takes in what is dropped, until `stop` is set. Runs in a thread of the sweeper; outages are waited out."""
    bell = _Bell()
    threading.Thread(target=_listen, args=(world.settings, bell, stop), name="incoming notifications", daemon=True).start()
    endurance = Endurance(_log, away="incoming/ cannot be read at the moment", broke="looking at incoming/ broke")
    while not stop.is_set():
        bell.rung.clear()
        endurance.through(lambda: incoming.look(world))
        _wait(bell, stop, world.settings.incoming_poll_s)


def _wait(bell: _Bell, stop: threading.Event, poll_s: float) -> None:
    """Until the bell rings, the next listing is due, or `stop` is set."""
    left_s = _RELIST_S if bell.listening.is_set() else poll_s
    while left_s > 0 and not stop.is_set() and not bell.rung.wait(min(left_s, _STOP_S)):
        left_s -= _STOP_S
