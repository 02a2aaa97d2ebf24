"""Reads a presentation and puts every rule to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hls_validation import rules_dolby, rules_keys, rules_media, rules_playlists, rules_variants
from hls_validation.fetch import Fetch, Fetcher
from hls_validation.finding import Finding, Level, NotSeen, Rule
from hls_validation.presentation import Presentation, load

RULES: tuple[Rule, ...] = tuple(
    rule for module in (rules_playlists, rules_keys, rules_variants, rules_media, rules_dolby) for rule in module.CHAPTER.rules
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one presentation."""

    url: str
    findings: tuple[Finding, ...]
    unchecked: Mapping[str, str]  # rule number to the reason
    playlists: int
    segments: int  # that were read
    size_bytes: int  # of these

    def failures(self, level: Level) -> int:
        return sum(finding.level is level for finding in self.findings)


def judge(look: Presentation) -> Report:
    """Every rule on a presentation that was read."""
    findings: list[Finding] = []
    unchecked: dict[str, str] = {}
    for rule in RULES:
        try:
            findings.extend(Finding(rule.id, issue.level or rule.level, rule.clause, issue.where, issue.says) for issue in rule.check(look))
        except NotSeen as reason:
            unchecked[rule.id] = str(reason)
    seen = [seen for rendition in look.renditions.values() for seen in rendition.seen]
    playlists = len(look.renditions) + (look.multivariant is not None)
    return Report(look.url, tuple(findings), unchecked, playlists, len(seen), sum(item.size_bytes for item in seen))


def address_of(place: str) -> str:
    """The URL of what was typed: one of the web as it is, anything else as a file."""
    return place if urlsplit(place).scheme in {"http", "https"} else Path(place).absolute().as_uri()


def validate(place: str, *, segments: int | None = None, patience_s: float = 20.0, headers: Mapping[str, str] | None = None) -> Report:
    """Judges the presentation at a URL or in a file, by the first `segments` of each playlist (None: all).

    Raises NotFetched when there is no playlist at `place`.
    """
    url = address_of(place)
    with Fetcher(files=url.startswith("file:"), patience_s=patience_s, headers=headers) as fetcher:
        return validate_by(fetcher, url, segments=segments)


def validate_by(fetch: Fetch, url: str, *, segments: int | None = None) -> Report:
    """The same by other means of getting things."""
    return judge(load(url, fetch, segments=segments))
