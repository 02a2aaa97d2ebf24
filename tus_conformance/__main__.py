"""The command line: `python -m tus_conformance URL`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import httpx

from tus_conformance import report
from tus_conformance.cases import CASES
from tus_conformance.run import Result, chosen, run_cases
from tus_conformance.target import PATIENCE_S, Target


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not name.strip() or not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not “Name: value”")
    return name.strip(), value.strip()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tus_conformance", description="Puts a server of the tus 1.0.0 protocol to the test.",
        epilog="Exit codes: 0 every MUST holds, 1 some do not, 2 the server cannot be reached or nothing was chosen.",
    )  # fmt: skip
    parser.add_argument("url", help="the creation URL, for instance https://uploads.example/files/")
    parser.add_argument("--header", action="append", type=_header, default=[], metavar="'NAME: VALUE'", help="sent with every request")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the whole report to FILE, or to the output for -")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="only this case or chapter; may be repeated")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, metavar="SECONDS", help=f"longest wait (default {PATIENCE_S:g})")
    parser.add_argument("--strict", action="store_true", help="a SHOULD that does not hold counts as well")
    parser.add_argument("--list", action="store_true", help="name the chosen cases and stop")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> int:
    """Runs the suite; the exit code."""
    given = _arguments().parse_args(argv)
    cases = chosen(CASES, given.only)
    if given.list:
        for case in cases:
            _say(f"{case.severity:6}  {case.id:44}  {case.says}  [{case.clause}]")
    if given.list or not cases:
        return 0 if cases else 2
    to_output = given.json is not None and str(given.json) == "-"
    results: list[Result] = []
    with Target(given.url, dict(given.header), patience_s=given.patience) as target:
        try:
            capabilities = target.discover()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            sys.stderr.write(f"{given.url} does not answer: {error}\n")
            return 2
        for result in run_cases(target, cases):
            results.append(result)
            if not to_output:
                _say(report.line(result))
    if given.json is not None:
        text = report.as_json(given.url, capabilities, results)
        _say(text) if to_output else given.json.write_text(text + "\n")
    if not to_output:
        _say(f"\n{report.summary(results)}")
    return report.exit_code(results, strict=given.strict)


if __name__ == "__main__":
    sys.exit(main())
