"""What the kinds of background work are called that more than one room speaks of: `kit.jobs.NewJob.kind`.

A kind that only one room makes and does has its name there.
"""

from __future__ import annotations

PROBE, DIGEST = "ingest.probe", "ingest.digest"
PLAN, INIT, SEGMENT, ENCODE = "transcode.plan", "transcode.init", "transcode.segment", "transcode.encode"
AUDIO, POSTER = "transcode.audio", "transcode.poster"
PUBLISH = "packager.publish"
