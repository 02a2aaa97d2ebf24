"""What `headwater doctor` says of the programs that open uploads: known holes of their releases, and the sandbox around them.

The sandbox is not only asked for but tried: ffprobe is run in it and told to open a file that it was not given.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from kit import huge_pages as kit_huge_pages
from kit import sandbox
from kit.errors import HeadwaterError, StepFailed
from kit.process import Command, SubprocessRunner
from kit.sandbox import Confinement
from kit.settings import Settings
from media import accepted, ffmpeg_faults
from stack.findings import Finding, failed, ok

_LIMITS = Confinement(memory_bytes=512 << 20, cpu_s=10)
_LIMIT_S = 30.0
_DENIED = b"Permission denied"
_LARGEST_PAGE_BYTES = 32 << 20


def known_faults(program: str, said: str, listings: tuple[str, str]) -> Finding:
    """`said`: the first line of `-version`. `listings`: what `-demuxers` and `-decoders` print."""
    title = f"{program} release"
    words = said.split()
    version = words[2] if len(words) > 2 else ""
    verdict = ffmpeg_faults.judge(version)
    allowed = f"may open {len(accepted.DEMUXERS)} of {_listed(listings[0])} demuxers and {_accepted(listings[1])} decoders"
    if not verdict.judged:
        return ok(
            title, f"{version or 'unknown'} is no release of FFmpeg's own, so its maker's change log must say what is mended; {allowed}"
        )
    if verdict.reachable:
        named = "; ".join(f"{fault.cve} ({fault.what}, {fault.source})" for fault in verdict.reachable)
        newest = max(fixed for fault in ffmpeg_faults.FAULTS for fixed in fault.fixed)
        return failed(title, f"{version} has holes that an upload can reach: {named}.", f"Use FFmpeg {_dotted(newest)} or newer.")
    elsewhere = (
        f"; holes in parts that no upload reaches: {', '.join(fault.cve for fault in verdict.elsewhere)}" if verdict.elsewhere else ""
    )
    return ok(title, f"no known hole within reach; {allowed}{elsewhere}")


def _dotted(version: ffmpeg_faults.Version) -> str:
    return ".".join(map(str, version))


def _listed(listing: str) -> int:
    """The lines of a listing behind its ruler."""
    lines = listing.splitlines()
    rulers = [at for at, line in enumerate(lines) if line.strip() and not line.strip().strip("-")]
    return len(lines) - rulers[0] - 1 if rulers else 0


def _accepted(listing: str) -> str:
    wanted = {*accepted.DECODERS, *accepted.OTHER_DECODERS}
    there = {words[1] for line in listing.splitlines() if len(words := line.split()) > 1}
    return f"{len(wanted & there)} of {_listed(listing)}"


def confinement(settings: Settings, ffprobe: str) -> Finding:
    """The sandbox of this machine, tried on ffprobe itself."""
    title, powers = "sandbox", sandbox.measure()
    refusal = sandbox.refusal(powers.level, settings.sandbox)
    if refusal:
        sentence, _, remedy = refusal.partition(". ")
        return failed(title, f"{sentence}.", remedy)
    described = sandbox.described(powers)
    try:
        trial = _trial(ffprobe)
    except HeadwaterError as error:
        return failed(
            title, error.detail, "If ffprobe is a script that starts another program, name the program itself (HEADWATER_FFPROBE)."
        )
    if trial == "opened" and powers.landlock_abi:
        return failed(title, f"{described}, but ffprobe opened a file that it was not given.", "Report this kernel and its configuration.")
    return ok(title, f"{described}; uploads need {settings.sandbox}")


def huge_pages(said: str) -> Finding:
    """Whether there are any for encoders that are to take them. `said`: the text of `kit.huge_pages.MEMORY_FACTS`."""
    title, pool = "huge pages", kit_huge_pages.pool(said)
    if pool.page_bytes > _LARGEST_PAGE_BYTES:
        remedy = "Start the kernel with default_hugepagesz=2M, or leave HEADWATER_HUGE_PAGES off."
        return failed(title, f"A page is {pool.page_bytes >> 20} MiB here, far more than a picture needs.", remedy)
    if not pool.pages:
        return failed(
            title,
            "HEADWATER_HUGE_PAGES is on, and this machine has set none aside, so encoders use ordinary memory.",
            "Set vm.nr_hugepages (sysctl), 1100 for each encode process, or leave HEADWATER_HUGE_PAGES off.",
        )
    return ok(title, f"{pool.pages} of {pool.page_bytes >> 20} MiB are set aside, {pool.free} of them free")


def _trial(ffprobe: str) -> str:
    """Whether a confined ffprobe "opened" a file that it was not given or was "denied". Raises HeadwaterError when it does not run."""
    runner = SubprocessRunner()
    said = runner.run(Command((ffprobe, "-hide_banner", "-version"), timeout_s=_LIMIT_S, confine=_LIMITS))
    if said.exit_code != 0:
        raise StepFailed(f"{ffprobe} does not run in the sandbox: it ended with exit code {said.exit_code}.", code="sandbox_failed")
    with tempfile.NamedTemporaryFile(prefix="headwater-doctor-") as secret:
        argv = (ffprobe, "-hide_banner", "-v", "error", f"file:{Path(secret.name)}")
        done = runner.run(Command(argv, timeout_s=_LIMIT_S, confine=_LIMITS))
    return "denied" if _DENIED in done.stderr else "opened"
