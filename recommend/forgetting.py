"""Forgetting a viewer: the database at once, the lake and the kept models in the background.

`forget` belongs into the caller's transaction: nothing of the viewer is left in the tables when it commits, and every answer from then
on shows it. The note it leaves keeps the viewer out of training until the step `recommend.forget` has rewritten each day of the lake
that names the viewer, and taken the viewer out of each kept model. What the viewer does afterwards is a new history.
"""

from __future__ import annotations

from sqlalchemy import Connection

from kit import job_store
from kit.jobs import NewJob
from recommend import store

FORGET = "recommend.forget"


def forget(conn: Connection, viewer_id: str) -> None:
    """Forgetting whom nobody knows, or twice, is harmless."""
    note = store.forget(conn, viewer_id)
    # The job names the note and not the viewer: jobs are kept for longer.
    job_store.enqueue(conn, NewJob(FORGET, f"forget/{note}", "", args={"note": note}, weight=0.0, max_attempts=20))
