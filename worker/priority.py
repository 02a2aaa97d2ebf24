"""Which work comes before which: one table, larger is sooner (`kit.jobs.NewJob.priority`).

Above `kit.jobs.URGENT` is what somebody waits for at this moment; workers take it up beside whatever else they do
(`worker.tasks`). Below it come, in this order, what a viewer will want next and what takes a title to its end. Among equals every
asset gets its turn (`kit.job_store.claim`).
"""

from __future__ import annotations

from catalog import pictures
from catalog.demand import AHEAD_PRIORITY, INTERACTIVE_PRIORITY
from ingest.received import PROBE_PRIORITY

DEMAND = INTERACTIVE_PRIORITY  # a segment that a player is asking for
PUBLISH = 400  # a row and a few small objects
OPENING = 300  # the first seconds of a title
PLAN = 200
THUMBNAIL = pictures.INTERACTIVE_PRIORITY  # somebody is looking
PROBE = PROBE_PRIORITY

IMPORT = 0  # fetching from elsewhere; also whatever has no priority of its own
AHEAD = AHEAD_PRIORITY  # the chunks behind a place that a viewer has gone to
AUDIO = -8
POSTER = -10
PICTURES = -12  # storyboard and preview of a title that is whole
CHUNK = -20  # of whatever rungs: within a title they are made in the order of the plan
