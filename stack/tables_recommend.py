"""What the recommender's commands say to people. Pure: from the values that --json prints to something rich can print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from recommend.bundle import Published


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, header_style="dim", no_wrap=True)
    return table


def comparison(outcome: Mapping[str, Any]) -> Table:
    """One line for each metric: the model with its interval, then every baseline."""
    baselines = list(outcome["baselines"])
    table = _table("", str(outcome.get("model", "model")), "95 %", *baselines)
    for metric, value in outcome["metrics"].items():
        spread = outcome["intervals"].get(metric)
        shown = f"{spread[0]:.4f} to {spread[1]:.4f}" if spread else ""
        table.add_row(metric, f"{value:.4f}", shown, *(f"{outcome['baselines'][name][metric]:.4f}" for name in baselines))
    return table


def evaluated(outcome: Mapping[str, Any]) -> RenderableType:
    """The result of `headwater evaluate`."""
    parts = outcome["breakdown"]
    lines = [
        f"{outcome['protocol']}: {outcome['users']:,} users ({parts['warm']['users']:,} known to training), {outcome['items']:,} items; "
        f"{outcome['users_without_hits']:,} users without a hit",
        f"settings chosen on {outcome['chosen_on']}, fitted in {outcome['fit_cpu_s']:.1f} CPU s "
        f"(of these {outcome['choice_cpu_s']:.1f} s choosing)",
        f"ties: {outcome['ties']}",
        *(f"{name}: {said}" for name, said in outcome["definitions"].items()),
    ]
    if outcome["one_draw"]:
        spread = ", ".join(f"{name} {value:.4f}" for name, value in outcome["one_draw"].items())
        lines.append(f"standard deviation of one draw of the candidates: {spread}")
    check = outcome["self_check"]
    if check["set"]:
        verdict = {True: "agrees", False: "DOES NOT AGREE", None: "was not compared"}[check["agrees"]]
        lines.append(f"{check['set']}: popularity {verdict} with the published figures {check['published_popularity']}")
    return Group(comparison(outcome), Text(""), *(Text(line) for line in lines))


def trained(outcome: Mapping[str, Any]) -> RenderableType:
    """The result of `headwater train`."""
    data, measured = outcome["data"], outcome["metrics"]
    first = (
        f"Learnt from {data['rows']:,} viewings of {data['items']:,} titles by {data['users']:,} viewers in {outcome['cpu_s']:.1f} CPU s."
    )
    last = "\n".join([*outcome["notes"], f"{'Published' if outcome['published'] else 'Not published:'} {outcome['version']}"])
    if not measured:
        return Group(Text(first), Text("The history is too short to measure anything: default settings."), Text(last))
    on = f"On {measured['users']:,} viewers after {measured['cut_at'][:16].replace('T', ' ')} UTC, which the measured model had not seen:"
    return Group(Text(first), Text(on), comparison(measured), Text(last))


def models(found: Sequence[Published]) -> Table:
    """The kept versions."""
    table = _table("version", "published", "", "viewings", "titles", "viewers", "ndcg@10", "popularity")
    for one in found:
        data, measured = one.facts.get("data", {}), one.facts.get("metrics") or {}
        mine, theirs = measured.get("metrics", {}).get("ndcg@10"), measured.get("baselines", {}).get("popularity", {}).get("ndcg@10")
        table.add_row(
            one.version, one.published_at.isoformat()[:16].replace("T", " "), "current" if one.current else "",
            *(f"{data.get(name, 0):,}" for name in ("rows", "items", "users")),
            *("" if value is None else f"{value:.4f}" for value in (mine, theirs)),
        )  # fmt: skip
    return table
