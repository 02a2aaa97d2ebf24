"""How benches end: their figures on the console and as JSON, with the machine and the revision that were measured, and an exit code."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any


def commit() -> str:
    """The revision of this tree, marked when something in it was changed."""
    argv = ["git", "describe", "--always", "--dirty"]
    asked = subprocess.run(argv, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def machine(**more: str) -> dict[str, str]:
    """Where and of what something is measured, and `more`: the versions of the programs that matter."""
    return {
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": str(os.cpu_count()),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "load at start": f"{os.getloadavg()[0]:.1f}",
        "system": platform.platform(),
        "python": platform.python_version(),
        **more,
        "commit": commit(),
    }


def _first(path: str, field: str) -> str:
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "unknown")


def keep(report: Any, out: Path) -> None:
    """`report` as JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


def finish(figures: Any, *, passed: bool, out: Path) -> int:
    """`figures` is a dataclass. Returns the exit code."""
    keep(asdict(figures), out)
    for name, value in asdict(figures).items():
        print(f"{name:<18} {value}")
    print("passed" if passed else "FAILED")
    return 0 if passed else 1
