"""Which work comes before which: one table, larger is sooner (`kit.jobs.NewJob.priority`).

From `kit.jobs.URGENT` on is what somebody waits for at this moment, or in some seconds (`NEXT`); workers take it up beside whatever
else they do (`worker.tasks`). Below it come, in this order, what a viewer will want next, what takes a title to its end, and what nobody
waits for. Among equals every asset gets its turn (`kit.job_store.claim`).
"""

from __future__ import annotations

from kit.jobs import URGENT

DEMAND = 1000  # a segment that a player is asking for
PUBLISH = 400  # a row and a few small objects
OPENING = 300  # the first seconds of a title
PLAN = 200
THUMBNAIL = 120  # somebody is looking
PROBE = URGENT + 10  # whoever has just uploaded is looking at the page
NEXT = URGENT  # a segment whose predecessor is there: the player that asks for it has seconds to play before it
REPAIR = 50  # of damaged objects: before bulk work, behind whoever is waiting for something else
IMPORT = 0  # fetching from elsewhere; also whatever has no priority of its own
AHEAD = -5  # the chunks behind a place that a viewer has gone to
AUDIO = -8
TEXT = -9  # that a source brings along: beside the sound and the poster of a title, before its bulk
POSTER = -10
PICTURES = -12  # storyboard and preview of a title that is whole
HIDDEN_TEXT = -13  # captions inside its pictures
CHUNK = -20  # of whatever rungs: within a title they are made in the order of the plan
QUALITY = -24  # measuring what is made
DOWNLOAD = -26
COMPACTION = -30  # the night's part of what viewers did
DAILY = -40  # looking after what is stored
DIGEST = -100  # of the source of a title that is ready
