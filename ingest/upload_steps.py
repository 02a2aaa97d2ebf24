"""The background steps of the ways in that need one: import by URL, and adoption of dropped files."""

from __future__ import annotations

from ingest import importing, incoming
from kit.step import Step

STEPS = (
    Step(importing.IMPORT, importing.run_import, importing.save_import),
    Step(incoming.ADOPT, incoming.run_adopt, incoming.save_adopt),
)
