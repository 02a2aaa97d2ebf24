"""Which Chromium the browser tests drive: an installed one, else the system's package, else Playwright's own.

`find` only looks. `python -m tests.chromium`, which `make test` calls first, also fetches one where it may: with apt as root, by
Playwright otherwise. Without any, the browser tests do not run; the end of the test run says which, and how to get them
(`REMEDY`). With CI set, a missing browser is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REMEDY = (
    "No Chromium was found. Install one (Debian: apt install chromium; or .venv/bin/playwright install --with-deps chromium), "
    "or name one in HEADWATER_TEST_CHROMIUM, then run `make test` again."
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FETCH_LIMIT_S = 600


def _playwright_browsers() -> list[Path]:
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    return sorted(folder.glob("chromium-*/chrome-linux*/chrome"), reverse=True)


def _starts(program: Path) -> bool:
    """A browser whose libraries are missing does not even tell its version."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def find() -> Path | None:
    """A Chromium that starts, or None."""
    named = os.environ.get("HEADWATER_TEST_CHROMIUM")
    installed = [shutil.which(name) for name in _NAMES]
    candidates = [Path(named)] if named else [*(Path(path) for path in installed if path), *_playwright_browsers()]
    return next((path for path in candidates if _starts(path)), None)


def _try(*argv: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(argv, timeout=_FETCH_LIMIT_S, check=False, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        print(f"{argv[0]} did not work.", flush=True)


def fetch() -> Path | None:
    """Get a Chromium where that is possible; None where it is not."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium with apt, for the browser tests.", flush=True)
        _try("apt-get", "update", "-qq")
        _try("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    if (found := find()) is not None:
        return found
    print("Downloading Playwright's Chromium, for the browser tests.", flush=True)
    _try(sys.executable, "-m", "playwright", "install", "chromium")
    return find()


if __name__ == "__main__":
    path = find() or fetch()
    print(f"The browser tests use {path}." if path else REMEDY)
