"""How the small benches end: their figures on the console and as JSON, and an exit code."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any


def finish(figures: Any, *, passed: bool, out: Path) -> int:
    """`figures` is a dataclass. Returns the exit code."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(asdict(figures), indent=1) + "\n")
    for name, value in asdict(figures).items():
        print(f"{name:<18} {value}")
    print("passed" if passed else "FAILED")
    return 0 if passed else 1
