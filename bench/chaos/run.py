"""One chaos run from beginning to end: quiet reference, attack, quiet, inventory, judgement."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bench.chaos import clips as clip_kinds
from bench.chaos import inventory
from bench.chaos.checks import Finding, Outputs, judge, outputs
from bench.chaos.client import FATES, Client, Order, Sent, order
from bench.chaos.clips import Clip
from bench.chaos.faults import faults
from bench.chaos.inflict import Account, Inflictor, attack
from bench.chaos.inventory import Inventory
from bench.chaos.processes import of_folder, table
from bench.chaos.report import tell
from bench.chaos.rig import Rig, rig
from bench.chaos.stream import Stream

PLANTS = ("none", "object", "orphan", "byte", "row", "upload")
_CLIENT_LIMIT_S = 240.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    kills: int
    limit_s: float  # of the attack
    pause_s: float  # between two faults, on average
    clients: int = 3
    plant: str = "none"
    kinds: tuple[str, ...] = clip_kinds.STREAM
    fates: tuple[str, ...] = tuple(FATES)
    quiet_limit_s: float = 900.0  # how long afterwards something may still be going on


def run(folder: Path, plan: Plan, say: Say) -> dict[str, Any]:
    """The report. `folder` is empty, and everything is written below it."""
    began_s = time.monotonic()
    clips = clip_kinds.make(folder / "clips", plan.kinds)
    account, broken = Account(), list[Finding]()
    with rig(folder / "rig") as whole:
        engine = whole.engine()
        try:
            say("A quiet run of every clip.")
            quiet = reference(whole, engine, clips)
            say(f"{plan.kills} kills, with seed {plan.seed}.")
            sent = _under_attack(whole, engine, clips, plan, account, say)
            if said := whole.fallen():
                broken.append(Finding("broken", said))
                return tell(plan.seed, time.monotonic() - began_s, account, sent, Inventory((), (), (), (), (), ()), broken)
            say("Quiet again: waiting until nothing is going on.")
            broken += [Finding("unfinished", f"Not quiet: {what}.") for what in settle(engine, plan.quiet_limit_s)]
            _plant(whole, engine, plan.plant)
            there = look(whole, engine)
        finally:
            engine.dispose()
    left = tuple(f"{process.pid} {process.command[:150]}" for process in of_folder(table(), folder))
    there = dataclasses.replace(there, processes=left)
    findings = (*broken, *judge(sent, there, quiet))
    return tell(plan.seed, time.monotonic() - began_s, account, sent, there, findings)


def reference(whole: Rig, engine: Engine, clips: Sequence[Clip]) -> dict[str, Outputs]:
    """What a quiet system makes of each clip."""
    give_up = threading.Event()
    limit = threading.Timer(_CLIENT_LIMIT_S, give_up.set)
    limit.start()
    client = Client(whole.stack.url, whole.stack.api_key, give_up)
    for clip in clips:
        sent = client.carry_out(Order(f"quiet-{clip.name}", clip, "tus", "keep", 2, 0.0))
        if not sent.acknowledged or sent.bugs:
            raise SystemExit(f"A quiet system did not take {clip.name}: {sent.refused} {sent.bugs}")
    client.close()
    limit.cancel()
    if going := settle(engine, 300):
        raise SystemExit(f"A quiet system did not finish: {going}")
    there = look(whole, engine)
    titles = {title.external_id: title for title in there.titles}
    wrong = [title for title in titles.values() if title.status != "ready"]
    if wrong:
        raise SystemExit(f"A quiet system did not make {wrong}.")
    return {clip.name: outputs(there, titles[f"quiet-{clip.name}"]) for clip in clips}


def _under_attack(whole: Rig, engine: Engine, clips: Sequence[Clip], plan: Plan, account: Account, say: Say) -> tuple[Sent, ...]:
    stream = Stream(
        whole.stack.url, whole.stack.api_key, engine, lambda number: order(plan.seed, number, tuple(clips), plan.fates), plan.clients
    )
    inflictor = Inflictor(whole, engine, account)
    done = threading.Event()
    teller = threading.Thread(target=_tell_now_and_then, args=(account, stream, done, say), daemon=True)
    teller.start()
    try:
        attack(inflictor, faults(plan.seed, plan.pause_s), plan.kills, plan.limit_s, whole.fallen)
    finally:
        inflictor.calm()
        done.set()
    return stream.end(0.0 if whole.fallen() else _CLIENT_LIMIT_S)


def _tell_now_and_then(account: Account, stream: Stream, done: threading.Event, say: Say) -> None:
    while not done.wait(30):
        say(f"{sum(account.kills.values())} kills, {len(stream.sent)} uploads.")


def settle(engine: Engine, limit_s: float) -> list[str]:
    """Wait until nothing is going on, twice in a row; what still is when the time is over."""
    end_s, calm = time.monotonic() + limit_s, 0
    while True:
        try:
            going = inventory.unrest(engine)
        except SQLAlchemyError as error:
            going = [f"the database is away ({type(error).__name__})"]
        calm = 0 if going else calm + 1
        if calm >= 2 or time.monotonic() > end_s:
            return going
        time.sleep(1.0)


def look(whole: Rig, engine: Engine) -> Inventory:
    found = inventory.of_database(engine)
    settings = whole.settings()
    stored, multiparts = inventory.of_store(inventory.client(settings), settings.s3_bucket)
    return dataclasses.replace(found, stored=stored, open_multiparts=multiparts, scratch=inventory.of_scratch(whole.scratch))


def _plant(whole: Rig, engine: Engine, plant: str) -> None:
    """One fault on purpose, after which the run must fail."""
    if plant == "none":
        return
    settings = whole.settings()
    store, bucket = inventory.client(settings), settings.s3_bucket
    keys = [
        item["Key"] for item in store.list_objects_v2(Bucket=bucket, Prefix="presentations/")["Contents"] if item["Key"].endswith(".m4s")
    ]
    if plant == "object":
        store.delete_object(Bucket=bucket, Key=keys[0])
    elif plant == "orphan":
        store.put_object(Bucket=bucket, Key="presentations/nobody/segment.m4s", Body=b"x")
    elif plant == "byte":
        data = bytearray(store.get_object(Bucket=bucket, Key=keys[0])["Body"].read())
        data[len(data) // 2] ^= 1
        store.put_object(Bucket=bucket, Key=keys[0], Body=bytes(data))
    elif plant == "upload":
        store.create_multipart_upload(Bucket=bucket, Key="sources/nobody/source")
    elif plant == "row":
        with engine.begin() as conn:
            conn.execute(
                text(
                    "UPDATE assets SET status = 'processing' WHERE id = "
                    "(SELECT min(id) FROM assets WHERE status = 'ready' AND external_id NOT LIKE 'quiet-%')"
                )
            )


def stop_on_signals() -> None:
    """SIGTERM ends the run as Ctrl-C does: everything that was started is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
