"""The command line without the rest of this repository: `python -m hls_validation URL`."""

from __future__ import annotations

import argparse
import sys

from hls_validation import report
from hls_validation.fetch import NotFetched
from hls_validation.run import validate


def wanted_segments(text: str) -> int | None:
    """“all”, “first” or a number. Raises ValueError."""
    count = None if text == "all" else 1 if text == "first" else int(text)
    if count is not None and count < 0:
        raise ValueError(text)
    return count


def main(argv: list[str] | None = None) -> int:
    """Judges one presentation; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m hls_validation", description="Judges an HLS presentation.",
        epilog="Exit codes: 0 every MUST holds, 1 some do not, 2 called wrongly, 4 there is no playlist at the address.",
    )  # fmt: skip
    parser.add_argument("place", help="address or file of a playlist")
    parser.add_argument("--json", action="store_true", help="one JSON value instead of text")
    parser.add_argument("--segments", type=wanted_segments, default=None, metavar="all|first|N", help="of each playlist (default all)")
    parser.add_argument("--strict", action="store_true", help="a SHOULD that does not hold counts as well")
    given = parser.parse_args(argv)
    try:
        found = validate(given.place, segments=given.segments)
    except NotFetched as error:
        sys.stderr.write(f"{error}\n")
        return 4
    sys.stdout.write((report.as_json(found) if given.json else report.as_text(found)) + "\n")
    return report.exit_code(found, strict=given.strict)


if __name__ == "__main__":
    sys.exit(main())
