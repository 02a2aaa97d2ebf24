"""The house rules that no linter knows, as functions from a source text to findings. `tests/test_tidy.py` holds them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

FILE_LINES, FUNCTION_LINES = 500, 70
ROOMS = (
    "media",
    "kit",
    "catalog",
    "accounts",
    "ingest",
    "transcode",
    "packager",
    "captions",
    "origin",
    "recommend",
    "web",
    "worker",
    "stack",
)
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "base"}

# What may be called only in its home, by the dotted name that the call is written with after its imports are resolved.
HOMES = {
    "datetime.datetime.now": ("kit/clock.py",),
    "datetime.datetime.utcnow": (),
    "datetime.datetime.today": (),
    "datetime.date.today": (),
    "time.time": ("kit/clock.py", "kit/ids.py"),
    "time.time_ns": ("kit/clock.py", "kit/ids.py"),
    "time.monotonic": ("kit/clock.py",),
    "time.perf_counter": ("kit/clock.py",),
    "time.sleep": ("kit/clock.py",),
    "os.environ": ("kit/settings.py", "kit/process.py"),  # the latter hands PATH on to what it starts
    "os.getenv": (),
    "os.putenv": (),
    "os.urandom": ("kit/ids.py",),
    "print": (),
    "input": (),
}
HOMES_OF_MODULES = {
    "random": (),
    "uuid": (),
    "secrets": ("kit/ids.py",),
    "boto3": ("kit/storage/",),
    "celery": ("worker/",),
    "ffmpeg": ("transcode/ffmpeg/",),
    "fastapi": ("/api.py", "web/"),
    "subprocess": ("kit/process.py", "stack/", "web/frontend/build_hook.py"),  # the last is no part of the running program
}  # fmt: skip

# Places that must not be named in anything we publish: registries (a lock or a page that names one breaks elsewhere), and
# folders of somebody's machine.
UNWANTED_TEXT = re.compile(
    "|".join(
        ["pypi" + r"\.org", "pythonhosted" + r"\.org", "registry" + r"\.npmjs", "npmjs" + r"\.org", "/work" + "/(main|shared)",
         "/root" + "/", "/home" + r"/(?!headwater\b)\w+/"]
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One breach. `str()` of it is what the exception list holds, so it names no line number."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def _imports(tree: ast.AST) -> dict[str, str]:
    """Local name to the dotted name that it stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {(alias.asname or alias.name): f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _dotted(node: ast.AST, imports: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return imports.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, imports)
        return f"{owner}.{node.attr}" if owner else None
    return None


def _at_home(path: str, homes: tuple[str, ...]) -> bool:
    """A home is a file, a folder (`worker/`), or a file name in any room (`/api.py`)."""
    folders = tuple(home for home in homes if home.endswith("/"))
    anywhere = tuple(home for home in homes if home.startswith("/"))
    return path in homes or path.startswith(folders) or path.endswith(anywhere)


def _names_used(tree: ast.AST, path: str) -> Iterator[Finding]:
    imports = _imports(tree)
    used = {name for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute) and (name := _dotted(node, imports))}
    for name, homes in HOMES.items():
        if name in used and not _at_home(path, homes):
            yield Finding(path, f"uses {name}")
    modules = {target.split(".")[0] for target in imports.values()}
    for name, homes in HOMES_OF_MODULES.items():
        if name in modules and not _at_home(path, homes):
            yield Finding(path, f"imports {name}")


def _broad_excepts(tree: ast.AST, path: str) -> Iterator[Finding]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and (node.type is None or _dotted(node.type, {}) in {"Exception", "BaseException"}):
                    yield Finding(path, f"broad except in {function.name}")


def _long_functions(tree: ast.AST, path: str) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield Finding(path, f"function {node.name} has more than {FUNCTION_LINES} lines")


def findings(path: str, text: str) -> Iterator[Finding]:
    """All breaches in one tracked file. `path` is relative to the repository."""
    if UNWANTED_TEXT.search(text):
        yield Finding(path, f"names {UNWANTED_TEXT.search(text).group()!r}")  # type: ignore[union-attr]
    if not path.endswith(".py"):
        return
    if text.count("\n") > FILE_LINES:
        yield Finding(path, f"has more than {FILE_LINES} lines")
    stem = path.rsplit("/", 1)[-1].removesuffix(".py")
    if VAGUE_NAMES & set(stem.split("_")) or VAGUE_NAMES & set(path.split("/")[:-1]):
        yield Finding(path, "has a name that says nothing")
    tree = ast.parse(text, path)
    yield from _long_functions(tree, path)
    if path.split("/", maxsplit=1)[0] in ROOMS:
        yield from sorted(set(_names_used(tree, path)))
        yield from sorted(set(_broad_excepts(tree, path)))
        if not stem.startswith("__") and not ast.get_docstring(tree):
            yield Finding(path, "has no module docstring")
