"""What was found, for people and for programs. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from hls_validation.finding import Finding, Level
from hls_validation.run import RULES, Report

_MOST_OF_ONE_RULE = 5  # lines in a text


def exit_code(report: Report, *, strict: bool) -> int:
    """0 when every MUST holds (with `strict`, every SHOULD too), else 1."""
    return int(bool(report.failures(Level.MUST) or (strict and report.failures(Level.SHOULD))))


def short(address: str, base: str) -> str:
    """An address, relative to the playlist's folder where it lies in it."""
    folder = base.partition("?")[0].rpartition("/")[0] + "/"
    return address.removeprefix(folder)


def as_text(report: Report) -> str:
    """A table of findings, and a summary."""
    lines = []
    said: Counter[str] = Counter()
    for finding in sorted(report.findings, key=lambda found: found.level is Level.SHOULD):
        said[finding.rule] += 1
        if said[finding.rule] <= _MOST_OF_ONE_RULE:
            lines.append(_line(finding, report.url))
    lines += [f"        {rule:4}  and {count - _MOST_OF_ONE_RULE} more" for rule, count in said.items() if count > _MOST_OF_ONE_RULE]
    return "\n".join([*lines, *([""] if lines else []), summary(report)])


def _line(finding: Finding, base: str) -> str:
    return f"{finding.level:6}  {finding.rule:4}  {short(finding.where, base)}: {finding.says}  [{finding.clause}]"


def summary(report: Report) -> str:
    checked = len(RULES) - len(report.unchecked)
    broken = {level: len({found.rule for found in report.findings if found.level is level}) for level in Level}
    read = f"{report.playlists} playlists and {report.segments} segments ({report.size_bytes / 1e6:.1f} MB) were read"
    result = f"{checked} of {len(RULES)} rules checked: {broken[Level.MUST]} MUST and {broken[Level.SHOULD]} SHOULD do not hold"
    missing = f"; not checked: {', '.join(report.unchecked)}" if report.unchecked else ""
    return f"{read}; {result}{missing}."


def as_value(report: Report) -> dict[str, Any]:
    """For JSON."""
    broken = {finding.rule for finding in report.findings}
    rules = [
        {
            "rule": rule.id, "level": rule.level.value, "clause": rule.clause, "says": rule.says,
            "outcome": "broken" if rule.id in broken else "unchecked" if rule.id in report.unchecked else "held",
            "reason": report.unchecked.get(rule.id),
        }
        for rule in RULES
    ]  # fmt: skip
    return {
        "url": report.url, "must_failures": report.failures(Level.MUST), "should_failures": report.failures(Level.SHOULD),
        "playlists": report.playlists, "segments": report.segments, "size_bytes": report.size_bytes,
        "findings": [asdict(finding) for finding in report.findings], "rules": rules,
    }  # fmt: skip


def as_json(report: Report) -> str:
    return json.dumps(as_value(report), indent=2, ensure_ascii=False)
