"""What a chaos run says of itself, as text and JSON."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.chaos.checks import Finding
from bench.chaos.client import Sent
from bench.chaos.inflict import Account
from bench.chaos.inventory import Inventory
from bench.figures import machine

LIMIT_S = 75.0
_SHOWN = 30
CHECKS = ("lost", "doubled", "orphaned", "unfinished", "unequal", "broken")


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds."""

    count: int
    median_s: float
    p95_s: float
    max_s: float


def spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    ordered = sorted(values)
    at = min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))
    return Spread(len(ordered), round(statistics.median(ordered), 2), round(ordered[at], 2), round(ordered[-1], 2))


def _named(counted: Counter[Any]) -> dict[str, int]:
    """The most hit first, by plain names."""
    return {str(part): count for part, count in counted.most_common()}


def tell(seed: int, took_s: float, account: Account, sent: Sequence[Sent], there: Inventory, findings: Sequence[Finding]) -> dict[str, Any]:
    """The report as a value."""
    own = {one.order.key for one in sent}
    status = Counter(title.status for title in there.titles if title.external_id in own)
    again = Counter(f"{job.kind}: {job.error}" for job in there.jobs if job.error)
    recovery = spread(account.again_s)
    return {
        **machine(), "seed": seed, "took_s": round(took_s), "kills": sum(account.kills.values()),
        "kills_by_part": _named(account.kills),
        "stops_by_part": _named(account.stops), "slow_or_full": _named(account.machine), "spared": account.spared,
        "found_nobody": account.nobody,
        "uploads": {
            "sent": len(sent), "acknowledged": sum(one.acknowledged for one in sent),
            "cancelled": sum(one.order.fate == "cancel" and one.ended for one in sent),
            "deleted": sum(one.order.fate == "delete" and one.ended for one in sent), "troubles": sum(one.troubles for one in sent),
        },
        "assets": dict(status), "objects": len(there.stored), "jobs": len(there.jobs), "attempts": sum(job.attempt for job in there.jobs),
        "last_errors_of_jobs": dict(again.most_common()), "worker_killed_to_running_again": None if recovery is None else asdict(recovery),
        "notes": dict(there.notes), "findings": [asdict(finding) for finding in findings],
        "by_check": {check: sum(finding.check == check for finding in findings) for check in CHECKS},
    }  # fmt: skip


def as_text(report: dict[str, Any]) -> str:
    lines = [f"{name:<32} {value}" for name, value in report.items() if name not in ("findings", "last_errors_of_jobs")]
    lines += [f"  {count:>4} × {what}" for what, count in report["last_errors_of_jobs"].items()]
    findings = report["findings"]
    lines += [f"{finding['check'].upper()}: {finding['sentence']}" for finding in findings[:_SHOWN]]
    if len(findings) > _SHOWN:
        lines.append(f"… and {len(findings) - _SHOWN} more.")
    if findings:
        lines.append("FAILED")
    else:
        lines.append(
            f"passed: {report['kills']} kills, nothing lost, nothing doubled, nothing orphaned, nothing unfinished, every byte equal."
        )
    return "\n".join(lines)
