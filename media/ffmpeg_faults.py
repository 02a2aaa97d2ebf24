"""FFmpeg releases with known holes, and which of the holes an upload could reach here. Pure.

FFmpeg's holes are in its hundreds of demuxers and decoders, of which an upload may reach those of `media.accepted` and no other. So
a release is bad for us when it has a hole in one of these; a hole elsewhere is named and is no alarm. Add a line when a fix is
published; a test holds the table's shape. Of `accepted.UNPROBED_CODECS` a release opens nothing while it has a hole there, so that is no
alarm either (`is_sound`).

Distributions mend old releases under the old number (5.1.9-0+deb12u1), and builds from the repository have none that says much
(N-118000-g…): of these the number proves nothing either way, and that is what is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from media import accepted

Version = tuple[int, ...]

_RELEASE = re.compile(r"n?(\d+)\.(\d+)(?:\.(\d+))?(?:-(?!\d+\+deb|\d+ubuntu).*)?$")
_DISTRIBUTION = re.compile(r"deb|ubuntu|\+rpi|\.el\d|\.fc\d|mga", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fault:
    """One hole. `parts` are FFmpeg's names of the demuxers and decoders that have it."""

    cve: str
    parts: tuple[str, ...]
    what: str
    fixed: tuple[Version, ...]  # the first good release of each branch that has one; the last counts for all later branches
    source: str


FAULTS = (
    Fault(
        "CVE-2026-40962", ("mov",), "integer overflow and write out of bounds in the table of encrypted samples", ((7, 1, 4), (8, 1, 0)),
        "https://nvd.nist.gov/vuln/detail/CVE-2026-40962",
    ),
    Fault(
        "CVE-2026-30997", ("av1",), "read out of bounds in the parameters of global motion", ((7, 1, 4), (8, 1, 0)),
        "https://security-tracker.debian.org/tracker/CVE-2026-30997",
    ),
    Fault(
        "CVE-2026-39210 to -39218", ("mpegts", "avi", "caf", "vp9", "dash", "rtsp"), "overflows that an automated audit found",
        ((8, 1, 2),), "https://www.cve.org/CVERecord?id=CVE-2026-39210",
    ),
    Fault(
        "CVE-2026-8461", ("magicyuv",), "write out of bounds while slices are decoded (PixelSmash)", ((8, 1, 2),),
        "https://nvd.nist.gov/vuln/detail/CVE-2026-8461",
    ),
    Fault(
        "CVE-2026-107695", ("hls",), "a playlist that names itself takes memory without end", ((8, 1, 3), (9, 0, 2)),
        "https://nvd.nist.gov/vuln/detail/CVE-2026-107695",
    ),
    Fault(
        "CVE-2026-107697", ("hls",), "the list of allowed protocols can be passed by", ((8, 1, 3), (9, 0, 0)),
        "https://nvd.nist.gov/vuln/detail/CVE-2026-107697",
    ),
    Fault(
        "CVE-2026-125174", ("hap",), "memory error in the decoder", ((8, 1, 3), (9, 0, 2)),
        "https://nvd.nist.gov/vuln/detail/CVE-2026-125174",
    ),
    Fault(
        "CVE-2026-125244", ("vvc",), "memory error in the decoder", ((8, 1, 3), (9, 0, 2)),
        "https://nvd.nist.gov/vuln/detail/CVE-2026-125244",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one build."""

    judged: bool  # whether its version says anything
    reachable: tuple[Fault, ...] = ()  # in parts that an upload may reach
    elsewhere: tuple[Fault, ...] = ()


def release(version: str) -> Version | None:
    """The release that FFmpeg's own word stands for ("n9.0.2-17-g2a571b6068", "8.1", "7.1.1-static"), or None."""
    found = _RELEASE.fullmatch(version)
    if found is None or _DISTRIBUTION.search(version):
        return None
    return tuple(int(part or 0) for part in found.groups())


def has(number: Version, fault: Fault) -> bool:
    """Whether that release has the hole."""
    in_branch = [fixed for fixed in fault.fixed if fixed[:2] == number[:2]]
    return number < (in_branch[0] if in_branch else fault.fixed[-1])


def judge(version: str, faults: Iterable[Fault] = FAULTS) -> Verdict:
    """What the table says of the build that calls itself `version`."""
    number = release(version)
    if number is None:
        return Verdict(judged=False)
    ours = {*accepted.DEMUXERS, *accepted.DECODERS, *accepted.OTHER_DECODERS}
    found = [fault for fault in faults if has(number, fault)]
    return Verdict(
        judged=True,
        reachable=tuple(fault for fault in found if ours & set(fault.parts)),
        elsewhere=tuple(fault for fault in found if not ours & set(fault.parts)),
    )


def is_sound(version: str, parts: Iterable[str], faults: Iterable[Fault] = FAULTS) -> bool:
    """Whether that build is known to have no hole in any of these `parts`. Of one whose number proves nothing it is not known."""
    number, wanted = release(version), set(parts)
    return number is not None and not any(has(number, fault) for fault in faults if wanted & set(fault.parts))
