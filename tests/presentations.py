"""Publishes every clip of the tests, or any files, through a whole Headwater and judges each presentation: `make presentations`.

    python -m tests.presentations                          every recipe of tests/clip_*.py
    python -m tests.presentations --profile archive DIR/*  other files, in another profile

For each file one line: `ready` with the MUST and SHOULD rules that do not hold (`headwater validate`, every segment read), or
the code with which it was refused. Delivery over TLS (D3) is left out, because this runs on loopback. Exit code 1 when a MUST does
not hold, or when something is refused without a code.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hls_validation import validate
from hls_validation.finding import Level
from tests.clip_recipes import RECIPES
from tests.clips import Clips, shared_folder
from tests.local_stack import LocalStack, local_stack

AT_ONCE = 8  # files that one command sends; they are encoded beside one another
LIMIT_S = 1800.0
_NO_TLS = "D3"


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one file. `must` and `should`: the rules that do not hold."""

    name: str
    status: str  # "ready", or the code of the refusal
    must: tuple[str, ...] = ()
    should: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return not self.must and bool(self.status)


def publish(stack: LocalStack, files: Sequence[Path], profile: str) -> Iterator[Judged]:
    for at in range(0, len(files), AT_ONCE):
        some = files[at : at + AT_ONCE]
        words = ["upload", *map(str, some), "--wait", "--json", *(["--profile", profile] if profile else [])]
        said = stack.command(*words, limit_s=LIMIT_S)
        try:
            told = json.loads(said.stdout)
        except ValueError as error:
            raise SystemExit(f"headwater upload ended with {said.returncode}: {said.stderr}") from error
        yield from map(_judge, [stack] * len(some), some, told if isinstance(told, list) else [told])


def _judge(stack: LocalStack, file: Path, asset: dict[str, Any]) -> Judged:
    if asset.get("status") != "ready":
        return Judged(file.name, str((asset.get("error") or {}).get("code") or ""))
    report = validate(f"{stack.url}/v/{asset['playback_ids'][0]['id']}/main.m3u8", segments=None)
    broken = [{found.rule for found in report.findings if found.level is level} - {_NO_TLS} for level in (Level.MUST, Level.SHOULD)]
    return Judged(file.name, "ready", *(tuple(sorted(rules)) for rules in broken))


def _line(judged: Judged) -> str:
    must, should = (" ".join(rules) or "-" for rules in (judged.must, judged.should))
    return f"{judged.name:<34} {judged.status or 'no code':<26} MUST {must}  SHOULD {should}"


def _summary(found: Sequence[Judged]) -> str:
    refused = Counter(judged.status for judged in found if judged.status != "ready")
    codes = ", ".join(f"{code} {count}" for code, count in refused.most_common())
    broken = sum(len(judged.must) for judged in found)
    return f"{len(found)} files: {len(found) - refused.total()} ready, {refused.total()} refused ({codes}); {broken} MUST rules do not hold"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--profile", default="")
    options = parser.parse_args()
    found: list[Judged] = []
    with tempfile.TemporaryDirectory(prefix="headwater-presentations-") as folder, local_stack(Path(folder) / "data") as stack:
        files = options.files or [Clips(shared_folder())(name) for name in sorted(RECIPES)]
        for judged in publish(stack, files, options.profile):
            found.append(judged)
            print(_line(judged), flush=True)
    print(_summary(found))
    bad = [judged.name for judged in found if not judged.good]
    for name in bad:
        print(f"FAILED  {name}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
