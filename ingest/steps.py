"""Every background step of this room."""

from __future__ import annotations

from ingest import probe, strays, upload_steps

STEPS = (*upload_steps.STEPS, *probe.PROBE_STEPS, *strays.STEPS)
