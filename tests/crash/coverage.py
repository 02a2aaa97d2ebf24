"""Which functions of the pipeline have effects, read from its source text: what `tests.crash` must come by, or say why not.

An effect is a call of a store's verb, the begin of a transaction that may write, or the run of a program. What cannot be seen in the
text (a store under another name) is missed here and found there all the same.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

PIPELINE = (
    *("ingest", "transcode", "packager/steps.py", "worker/outbox.py", "worker/sweeper.py"),
    *("kit/step.py", "catalog/steps.py", "catalog/early.py"),
)

ELSEWHERE = {
    "ingest.sessions.transaction": "passes on what its callers do",
    "ingest.sessions.read": "only reads",
    "ingest.sessions.read_live": "only reads",
    "ingest.sessions.early_state": "only reads",
    "ingest.sessions.fail": "only when the store has lost parts that it had acknowledged",
    "ingest.probe._run": "only reads",
    "kit.step._insist": "passes on what its callers do",
    "kit.step.run": "passes on what its callers do",
    "worker.sweeper.ask_for_compaction": "the history of viewers, and no video",
    "worker.sweeper.ask_for_upkeep": "removes what has ended, and reads; see tests of upkeep",
    "catalog.steps.forget_jobs": "removes what has ended; see tests of upkeep",
    "transcode.init_steps.init_again": "repairs what has been damaged; see the tests of scrub",
    "catalog.steps.drop_text": "subtitles; see their tests",
    "transcode.download_steps.download": "static renditions, which nobody's title waits for; see their tests",
    "transcode.download_steps._copied": "only reads",
    "transcode.title.clear_segment": "only reads",
}
"""Functions with effects that no scenario comes by, and why that is as it should be."""
VERBS = frozenset(
    {"put", "get", "stream", "download", "stat", "list", "delete", "copy", "create_multipart", "put_part", "complete_multipart"}
    | {"abort_multipart", "open_multiparts"}
)
_STORE = re.compile(r"(^|\.)_?(storage|source)$")


def functions(top: Path) -> Iterator[str]:
    """Their names: "ingest.sessions.close"."""
    for place in PIPELINE:
        path = top / place
        for file in sorted(path.glob("**/*.py")) if path.is_dir() else [path]:
            module = ".".join(file.relative_to(top).with_suffix("").parts)
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(map(_is_effect, ast.walk(node))):
                    yield f"{module}.{node.name}"


def _is_effect(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        return node.func.id == "transaction"
    if not isinstance(node.func, ast.Attribute):
        return False
    owner, verb = ast.unparse(node.func.value), node.func.attr
    return (verb in VERBS and _STORE.search(owner) is not None) or (verb, owner.rpartition(".")[2]) in {("begin", "db"), ("run", "runner")}


def reached(names: Iterable[str]) -> set[str]:
    """The functions that points are named by."""
    return {found.group(1) for name in names if (found := re.match(r"\w+ (?:before|at|after) (\S+)", name))}
