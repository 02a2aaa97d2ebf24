"""The two background programs: `headwater worker` and `headwater sweeper`.

A worker is a Celery worker with a pool of forked processes. Asked to stop (SIGTERM, SIGINT) it takes no more work, kills the
running FFmpeg, hands the jobs back to the queue, and is gone within five seconds. Killed, it takes its processes and their
FFmpeg with it (`kit.launch`, and Celery's own death signal for pool processes), and its leases run out.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import Any

from celery.app import trace
from celery.worker import WorkController
from celery.worker import state as celery_state

import kit.storage.s3  # noqa: F401 - read in once, before the fork, and not by every process again
from kit import log, sandbox
from kit.settings import Settings
from kit.world import open_world
from worker import sweeper
from worker.app import QUEUE, doorbell, make_app, quieten
from worker.flow import VideoFlow
from worker.sweeper import SWEEP_S
from worker.tasks import Attendant, Duties, Pipes, attend

_GONE_S = 4.5  # from the signal to the end, whatever hangs

_log = log.logger(__name__)


def all_duties() -> Duties:
    """Every step of every room."""
    import captions.steps
    import catalog.steps
    import ingest.steps
    import packager.steps
    import packager.text_refresh
    import recommend.lake_steps
    import transcode.steps

    texts = captions.steps.steps(packager.text_refresh.refresh)
    steps = (*ingest.steps.STEPS, *transcode.steps.STEPS, *packager.steps.STEPS, *catalog.steps.STEPS, *recommend.lake_steps.STEPS, *texts)
    return Duties({step.kind: step for step in steps}, VideoFlow())


class _Controller(WorkController):  # type: ignore[misc]
    """A Celery worker that is told nothing by its command line and says only when it is ready."""

    def on_before_init(self, **_: Any) -> None:
        trace.setup_worker_optimizations(self.app, self.hostname)

    def on_consumer_ready(self, _consumer: Any) -> None:
        _log.info("worker ready", processes=self.concurrency, sandbox=sandbox.measure().level)


def _say_sandbox(settings: Settings) -> None:
    """Once, at the start. A worker that may not open uploads still does everything else."""
    powers = sandbox.measure()
    refusal = sandbox.refusal(powers.level, settings.sandbox)
    if refusal:
        _log.error("uploads are refused", sandbox=powers.level, needed=settings.sandbox, reason=refusal)
    elif powers.level != sandbox.LEVELS[0]:
        _log.warning("uploads are opened in a weak sandbox", sandbox=sandbox.described(powers))


def run_worker(settings: Settings, duties: Duties | None = None) -> None:
    """Works until SIGTERM or SIGINT."""
    log.configure(settings.log_level)
    quieten()
    settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    _say_sandbox(settings)
    app, pipes = make_app(settings), Pipes.make()
    attend(app, Attendant(lambda: open_world(settings), duties or all_duties(), pipes))
    controller = _Controller(
        app=app,
        hostname=f"worker-{os.getpid()}@{socket.gethostname()}",
        concurrency=settings.worker_processes or len(os.sched_getaffinity(0)),
        queues=[QUEUE],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        task_events=False,
    )

    def stop(_signal: int, _frame: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.close(pipes.leash_held)
        celery_state.should_stop = 0
        deadline = threading.Timer(_GONE_S, os._exit, (0,))
        deadline.daemon = True
        deadline.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    controller.start()
    _log.info("worker stopped")
    sys.exit(controller.exitcode)


def run_sweeper(settings: Settings, *, sweep_s: float = SWEEP_S) -> None:
    """Sweeps until SIGTERM or SIGINT."""
    log.configure(settings.log_level)
    quieten()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    world, app = open_world(settings), make_app(settings)
    _log.info("sweeper ready")
    sweeper.run(world, VideoFlow(), doorbell(app), stop, sweep_s=sweep_s)
    world.db.dispose()
    app.close()
    _log.info("sweeper stopped")
