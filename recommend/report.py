"""The page that comes with a model: what it was trained on, how it compares, what was chosen. One HTML text with its plots inside.

Each plot is a row of dots with their intervals, the model first and every baseline below it, drawn as SVG. It loads nothing from
anywhere and runs no script, so it can be kept, mailed and shown under any content policy that allows inline styles.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_LABELS = {
    "model": "this model", "popularity": "popularity", "trending-7d": "trending, 7 days", "trending": "trending, tuned",
    "als": "factors alone", "rp3beta": "item-item alone",
}  # fmt: skip
_PLOTTED = ("ndcg@10", "hr@10", "recall@20")
_LISTED = ("coverage@10", "gini@10", "novelty@10", "diversity@10")
_WIDTH, _LEFT, _ROW = 640, 150, 26
_STYLE = (
    ":root{color-scheme:light dark;--ink:#1b1f24;--soft:#66707c;--line:#d8dde3;--mark:#0a6e5c;--other:#8a94a0;--ground:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8ebee;--soft:#98a2ae;--line:#333a42;--mark:#4fc9ae;--other:#7d8793;--ground:#14171a}}"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}"
    "p.soft,th{color:var(--soft);font-weight:400}svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}"
)


def page(version: str, facts: Mapping[str, Any]) -> str:
    """The whole document."""
    data, measured = facts["data"], facts["metrics"]
    head = (
        f"<h1>Model {escape(version)}</h1><p class=soft>Trained {escape(str(facts['trained_at'])[:16].replace('T', ' '))} UTC on "
        f"{data['rows']:,} viewings of {data['items']:,} titles by {data['users']:,} viewers, in {facts['cpu_s']:.1f} s of CPU.</p>"
    )
    body = (
        _measured(measured) if measured else "<p>The history is too short to measure anything: the model answers with default settings.</p>"
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>Model {escape(version)}</title><style>{_STYLE}</style><body>{head}{body}{_settings(facts)}</body></html>"
    )


def _measured(measured: Mapping[str, Any]) -> str:
    names = ["model", *measured["baselines"]]
    values = {"model": measured["metrics"], **measured["baselines"]}
    intervals = {"model": measured["intervals"], **measured["baseline_intervals"]}
    cut_at = str(measured["cut_at"])[:16].replace("T", " ")
    parts = [
        f"<h2>On what came after</h2><p class=soft>{measured['users']:,} viewers with new titles after {escape(cut_at)} UTC, which "
        f"training had not seen; {measured['users_without_hits']:,} of them found nothing of theirs in their list. Lines are "
        "95 % intervals.</p>"
    ]
    parts += [_plot(metric, [(name, values[name][metric], intervals[name][metric]) for name in names]) for metric in _PLOTTED]
    rows = "".join(
        f"<tr><td>{escape(_LABELS.get(name, name))}</td>" + "".join(f"<td>{values[name][metric]:.3f}</td>" for metric in _LISTED) + "</tr>"
        for name in names
    )
    heads = "".join(f"<th>{metric}</th>" for metric in _LISTED)
    parts.append(f"<h2>The lists</h2><table><tr><th></th>{heads}</tr>{rows}</table>")
    return "".join([*parts, _breakdown(measured["breakdown"])])


def _breakdown(parts: Mapping[str, Any]) -> str:
    known = {"warm": "with history", "cold": "without history"}
    rows = "".join(
        f"<tr><td>{known[name]}</td><td>{part['users']:,}</td>"
        + "".join(f"<td>{part['metrics'][metric]:.3f}</td>" if part["metrics"] else "<td>–</td>" for metric in _PLOTTED)
        + "</tr>"
        for name, part in parts.items()
    )
    heads = "".join(f"<th>{metric}</th>" for metric in _PLOTTED)
    return f"<h2>Viewers</h2><table><tr><th></th><th>viewers</th>{heads}</tr>{rows}</table>"


def _plot(metric: str, rows: list[tuple[str, float, list[float]]]) -> str:
    top = max([high for _, _, (_, high) in rows] + [1e-9])
    height = _ROW * len(rows) + 8

    def x(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 60) * value / top

    marks = []
    for number, (name, value, (low, high)) in enumerate(rows):
        y, colour = _ROW * number + 18, "var(--mark)" if name == "model" else "var(--other)"
        marks.append(
            f"<text x=0 y={y + 4}>{escape(_LABELS.get(name, name))}</text>"
            f"<line x1={x(low):.1f} x2={x(high):.1f} y1={y} y2={y} stroke='{colour}' stroke-width=2 />"
            f"<circle cx={x(value):.1f} cy={y} r=5 fill='{colour}' /><text x={x(high) + 10:.1f} y={y + 4}>{value:.3f}</text>"
        )
    return f"<h3>{metric}</h3><svg viewBox='0 0 {_WIDTH} {height}' role=img aria-label='{metric} of every model'>{''.join(marks)}</svg>"


def _settings(facts: Mapping[str, Any]) -> str:
    settings = facts["settings"]
    rows = [("factors", settings["als"]), ("item-item walk", settings["walk"]), ("weights of viewings", settings["weights"])]
    rows += [(f"blend from {int(step['at_least'])} titles on", step) for step in settings["blend"]]
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(_pairs(values))}</td></tr>" for name, values in rows)
    chosen = f"{facts['chosen_on']}, {facts['chosen_by_users']:,} viewers" if facts["chosen_by_users"] else str(facts["chosen_on"])
    return (
        f"<h2>Settings</h2><p class=soft>Chosen on: {escape(chosen)}. Seed {facts['seed']}. History {escape(facts['fingerprint'][:16])}."
        f"</p><table>{cells}</table>"
    )


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items() if name != "at_least")
