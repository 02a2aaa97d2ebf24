"""The Celery application: the doorbell between the outbox and the workers.

A message carries one job id and means "there is work"; whoever hears it takes the most urgent job that is due, which need not
be that one. So a message may be lost, doubled, late or about a job long done, and nothing goes wrong: the database decides.
There is no result backend, no chord, no countdown and no remote control: each of these would be a second truth.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

from celery import Celery, bootsteps, signals
from celery.exceptions import CPendingDeprecationWarning
from celery.worker import state as celery_state
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerError

from kit import log
from kit.errors import Unavailable
from kit.settings import Settings

WORK = "headwater.work"
QUEUE = "headwater"
_EARS_S = 1.0

_log = log.logger(__name__)


def make_app(settings: Settings) -> Celery:
    """A Celery application on the settings' broker. Opens no connection."""
    app = Celery("headwater", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_proc_alive_timeout=60,  # a process that starts slowly on a busy machine is not broken
        # A running step does not depend on the connection: the lease in the database says whether it may go on.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_prefetch_count_reduction=False,
        broker_connection_retry_on_startup=True,
        broker_connection_retry=True,
        broker_connection_max_retries=None,
        # One try: the outbox and the worker each try again in their own time.
        broker_transport_options={"socket_connect_timeout": 5, "socket_keepalive": True, "health_check_interval": 25, "max_retries": 1},
    )
    app.steps["consumer"].add(_Ears)
    return app


class _Ears(bootsteps.StartStopStep):  # type: ignore[misc]
    """Notices when the worker has gone deaf, and makes it connect anew.

    A broker that dies after a task has ended, but before its acknowledgement is sent, leaves a message that counts as unacknowledged
    for ever. With a prefetch of one that fills the channel: Celery then asks for nothing more, so it does not even notice that
    the connection is gone. A full channel while no task is at work, seen twice in a row, is that state.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._seen = 0

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        self._seen = 0
        hub.call_repeatedly(_EARS_S, self._check, consumer)

    def _check(self, consumer: Any) -> None:
        deaf = not celery_state.reserved_requests and not consumer.task_consumer.channel.qos.can_consume()
        self._seen = self._seen + 1 if deaf else 0
        if self._seen >= 2:
            # The event loop passes connection errors on to Celery, which connects anew.
            raise ConnectionResetError("a message was never acknowledged")


def doorbell(app: Celery) -> Callable[[str], None]:
    """A function that sends one message. It raises Unavailable("broker_unavailable")."""

    def ring(job_id: str) -> None:
        try:
            app.send_task(WORK, args=[job_id], queue=QUEUE, ignore_result=True, retry=False)
        except (BrokerError, KombuError, OSError) as error:
            raise Unavailable(f"The broker does not answer: {error}", code="broker_unavailable") from error

    return ring


class _BrokerNews(logging.Handler):
    """Says once that the broker is away and once that it is back, where Celery repeats itself every few seconds."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._away = False

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith("Connected to"):
            if self._away:
                _log.info("broker is back")
            self._away = False
        elif text.startswith(("consumer: Cannot connect", "consumer: Connection to broker lost", "Couldn't ack")):
            if not self._away:
                _log.warning("broker is away; looking for work without it")
            self._away = True
        elif record.levelno >= logging.WARNING:
            _log.warning(text)


class _ProcessNews(logging.Handler):
    """Says in one line that a process of the pool died, where Celery adds the trace of an error that it raises itself."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith("Process ") and " exited with " in text:
            how = text.rpartition("exited with ")[2].strip("'")
            _log.warning("a worker process died; what it held is taken back when its lease ends", how=how)
        elif record.levelno >= logging.WARNING and "WorkerLostError" not in text and not text.startswith("Couldn't ack"):
            _log.warning(text)


def quieten() -> None:
    """Makes Celery log through us: its own set-up, banners and repetitions are left out; what is wrong still shows."""
    signals.setup_logging.connect(_keep_our_logging, weak=False)
    for name in ("celery", "kombu", "amqp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("kombu").setLevel(logging.ERROR)  # it warns of messages that it puts back when the worker stops
    news = {"celery.worker.consumer": _BrokerNews(), "celery.worker.request": _ProcessNews(), "multiprocessing": _ProcessNews()}
    for name, handler in news.items():
        one = logging.getLogger(name)
        one.setLevel(logging.INFO)
        one.handlers[:] = [handler]
        one.propagate = False
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)  # of a default that we have set ourselves


def _keep_our_logging(**_: object) -> None:
    """Celery sets up no logging as long as somebody answers this signal."""
