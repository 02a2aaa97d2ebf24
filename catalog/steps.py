"""The step "catalog.purge", and "catalog.drop" for what was made of a file that is not the one after all.

The first removes what a deleted asset has in the object store, then what the database says of it.

Deleting an asset ends everything that can be seen at once (`catalog.store.delete_asset`); this follows in the background. An
encode that was under way when its asset was deleted learns of it with its next heartbeat and may store objects until then, so
two such jobs are made: one that is due at once, and one that is due when no lease from before can still hold.

Every day "catalog.forget_jobs" removes finished jobs that nobody needs any more, and every night "catalog.scrub" reads a part of what is
stored. It says what it finds damaged once, in the log; `headwater doctor`, /readyz and /metrics go on saying it.
"""

from __future__ import annotations

from sqlalchemy import Connection

from catalog import early, old_jobs, priority, scrub, scrub_store, store, track_store
from kit import job_store, log, past_jobs
from kit.jobs import Job, daily
from kit.step import Beat, Step
from kit.world import World
from media import keys
from media.ids import AssetId

SCRUB = "catalog.scrub"
_NIGHT_HOUR = 3  # UTC
_SAID = 20  # damaged objects in the log of one night

_log = log.logger(__name__)


def purge(world: World, job: Job, beat: Beat) -> None:
    """Delete every object of the asset. What is gone already is fine."""
    asset_id = AssetId(job.asset_id)
    for prefix in (keys.asset_prefix(asset_id), keys.source_prefix(asset_id)):
        for found in world.storage.list(prefix):
            if beat.cancelled.is_set():
                return
            world.storage.delete(found.key)


def save(conn: Connection, _world: World, job: Job, _result: None) -> None:
    """Forget the rest."""
    store.purge_rows(conn, job.asset_id)


def drop(world: World, job: Job, beat: Beat) -> None:
    """Delete the objects of a plan that was dropped, unless the asset has that plan again."""
    digest, prefix = early.dropped_prefix(job.subject)
    for found in world.storage.list(prefix):
        with world.db.connect() as conn:
            wanted = not early.is_dropped(conn, job.asset_id, digest)
        if wanted or beat.cancelled.is_set():
            return
        world.storage.delete(found.key)


def drop_text(world: World, job: Job, _beat: Beat) -> None:
    """Delete the files of a text track that viewers were sent once, unless some track has the same text again."""
    asset_id, digest, _ = job.subject.split("/")
    with world.db.connect() as conn:
        wanted = track_store.is_wanted(conn, asset_id, digest)
    if not wanted:
        for key in (keys.text_pack(AssetId(asset_id), digest), keys.text_cues(AssetId(asset_id), digest)):
            world.storage.delete(key)


def save_dropped_text(conn: Connection, _world: World, job: Job, _result: None) -> None:
    asset_id, digest, _ = job.subject.split("/")
    if not track_store.is_wanted(conn, asset_id, digest):
        track_store.forget_pack(conn, asset_id, digest)


def save_nothing(_conn: Connection, _world: World, _job: Job, _result: object) -> None:
    """It is done already."""


def ask_for_upkeep(conn: Connection, world: World) -> None:
    """What is due today and tonight, as the settings say. Asking again does nothing."""
    now, settings = world.clock.now(), world.settings
    old_jobs.ask(conn, now, settings.job_history_days)
    if settings.nightly_scrub_bytes > 0 and now.hour >= _NIGHT_HOUR:
        job_store.enqueue(conn, daily(SCRUB, now, priority.DAILY))


def forget_jobs(world: World, _job: Job, beat: Beat) -> int:
    """Returns how many were removed."""
    days, removed, bells, after = world.settings.job_history_days, 0, 0, None
    while days > 0 and not beat.cancelled.is_set():
        with world.db.begin() as conn:
            done = old_jobs.remove_some(conn, days, after)
        removed, after = removed + done.jobs, done.until
        if after is None:
            break
    while not beat.cancelled.is_set():
        with world.db.begin() as conn:
            gone = past_jobs.forget_stale_bells(conn, old_jobs.AT_ONCE)
        bells += gone
        if gone < old_jobs.AT_ONCE:
            break
    beat.progress(1.0, removed=removed, bells=bells)
    return removed


def nightly_scrub(world: World, _job: Job, beat: Beat) -> None:
    """The next part of everything. Raises Unavailable when the store or the database is away."""
    with world.db.connect() as conn:
        before = {item.key for item in scrub_store.known_damage(conn)}
    options = scrub.Options(nightly=True, most_bytes=world.settings.nightly_scrub_bytes)
    report = scrub.scrub(world, options, stopped=beat.cancelled.is_set)
    with world.db.connect() as conn:
        found = [item for item in scrub_store.known_damage(conn) if item.key not in before]
    for item in found[:_SAID]:
        _log.error("a stored object is damaged", key=item.key, what=item.what, condition=item.condition, owner=item.owner)
    beat.progress(1.0, objects=report.objects, whole_pass=report.finished, damaged=len(found))


STEPS = (
    Step(store.PURGE, purge, save),
    Step(early.DROP, drop, save_nothing),
    Step(track_store.DROP_TEXT, drop_text, save_dropped_text),
    Step(old_jobs.FORGET, forget_jobs, save_nothing),
    Step(SCRUB, nightly_scrub, save_nothing),
)
