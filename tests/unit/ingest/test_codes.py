"""docs/codes.md says of every code that an asset can end with what it means and what to do, and of no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ingest.checks import REASONS
from kit.jobs import WORKER_LOST

TOP = Path(__file__).parent.parent.parent.parent
PAGE = TOP / "docs" / "codes.md"

# Where steps and what they call raise errors. Not here: what only answers HTTP requests (their codes are problems, at /v1/problems).
ROOMS = ("transcode", "packager", "worker")
MODULES = (
    *("ingest/probe.py", "ingest/ffprobe.py", "ingest/described.py", "ingest/checks.py", "ingest/importing.py", "ingest/incoming.py"),
    "ingest/upload_steps.py",
    *("kit/process.py", "kit/scratch.py", "kit/step.py", "kit/tools.py", "kit/storage/__init__.py"),
)
# An Unavailable is tried again for as long as it takes, so no asset ends with its code.
TRIED_AGAIN = "Unavailable"
PASSING = {
    "cancelled": "the job was cancelled or lost; its asset is deleted, or another attempt runs",
    "not_made_yet": "of a thumbnail, storyboard or preview, without which a title lives on; who asked for it is told to come again",
    "multipart_not_found": "caught where a multipart upload is completed",
}


def _sources() -> Iterator[Path]:
    yield from (TOP / module for module in MODULES)
    for room in ROOMS:
        yield from (TOP / room).rglob("*.py")


def _literal(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _codes_in(tree: ast.AST) -> Iterator[str | None]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id == TRIED_AGAIN):
            yield from (_literal(keyword.value) for keyword in node.keywords if keyword.arg == "code")
        if isinstance(node, ast.ClassDef) and TRIED_AGAIN not in {base.id for base in node.bases if isinstance(base, ast.Name)}:
            for line in node.body:
                if isinstance(line, ast.Assign):
                    yield from _assigned(line)


def _assigned(line: ast.Assign) -> Iterator[str | None]:
    """`code = "x"`, and `status, code, retry = 422, "x", Retry.NEVER`."""
    (target,) = line.targets
    if isinstance(target, ast.Name) and target.id == "code":
        yield _literal(line.value)
    if isinstance(target, ast.Tuple) and isinstance(line.value, ast.Tuple):
        names = [name.id for name in target.elts if isinstance(name, ast.Name)]
        yield from (_literal(value) for name, value in zip(names, line.value.elts, strict=False) if name == "code")


def codes_in_the_code() -> set[str]:
    found = {code for path in _sources() for code in _codes_in(ast.parse(path.read_text(encoding="utf-8"))) if code}
    return (found | set(REASONS) | {WORKER_LOST}) - set(PASSING)


def rows() -> dict[str, tuple[str, str]]:
    """code -> its meaning and what to do, as the page says."""
    found = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == len({code for code, _, _ in found}), "a code is explained twice"
    return {code: (meaning, remedy) for code, meaning, remedy in found}


def test_every_code_is_explained_and_every_explanation_has_a_code() -> None:
    assert sorted(rows()) == sorted(codes_in_the_code())


def test_the_page_says_what_the_checks_say() -> None:
    assert {code: rows()[code][0] for code in REASONS} == REASONS
    assert all(remedy.endswith(".") for _, remedy in rows().values())


def test_the_reader_of_the_code_finds_each_way_of_naming_one() -> None:
    text = """
class A(StepFailed):
    code = "one"
class B(Rejected):
    status, code, retry = 422, "two", Retry.NEVER
class C(Unavailable):
    code = "not_this"
def f():
    raise Rejected("…", code="three")
    raise Unavailable("…", code="nor_this")
    raise errors.StepFailed("…", code=computed)
"""
    assert {code for code in _codes_in(ast.parse(text)) if code} == {"one", "two", "three"}
