"""What a failed FFmpeg run means: an error of ours with a documented code and a sentence for people. Pure.

FFmpeg's own words are only a hint, so what is not recognised is `encode_failed` and is tried again. Its words are never shown:
they name paths and mean nothing to an uploader; `technical` keeps the last of them for the log.

| code | meaning | again? |
|---|---|---|
| decode_failed | the source cannot be decoded, or not to its end | no |
| out_of_memory | the machine has too little memory for it | counted |
| disk_full | the scratch disk is full | later, for free |
| killed | something else ended the encoder | counted |
| encode_failed | anything else, a crash included | counted |
"""

from __future__ import annotations

import re
import signal

from kit.errors import HeadwaterError, Rejected, StepFailed, Unavailable
from kit.process import Completed

_SIGNS: tuple[tuple[str, HeadwaterError], ...] = (
    ("No space left on device", Unavailable("The disk of the worker is full.", code="disk_full")),
    ("Cannot allocate memory", StepFailed("The worker has too little memory for this video.", code="out_of_memory")),
    ("malloc of size", StepFailed("The worker has too little memory for this video.", code="out_of_memory")),
    ("No such file or directory", StepFailed("The worker's copy of the video went away.", code="encode_failed")),
    ("Input/output error", StepFailed("The disk of the worker cannot be read.", code="encode_failed")),
    ("Invalid data found when processing input", Rejected("The video is damaged and cannot be decoded.", code="decode_failed")),
    ("Error opening input", Rejected("The video cannot be opened for decoding.", code="decode_failed")),
    ("not found for input stream", Rejected("The video uses a codec that cannot be decoded here.", code="decode_failed")),
    ("Decoding requested, but no decoder found", Rejected("The video uses a codec that cannot be decoded here.", code="decode_failed")),
    ("Too many packets buffered", Rejected("Picture and sound of the video lie too far apart.", code="decode_failed")),
)
COMPLAINTS = 5  # of FFmpeg, that are kept for the log
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP}


def explain(completed: Completed) -> HeadwaterError:
    """The error for a run that did not exit with 0."""
    if completed.exit_code == -signal.SIGKILL:
        return StepFailed("The encoder was killed, most often because the machine ran out of memory.", code="killed")
    if -completed.exit_code in _CRASHES:
        return StepFailed("The encoder crashed: its release has a fault, or the video is made to find one.", code="encode_failed")
    if completed.exit_code < 0:
        return StepFailed(f"The encoder was ended by signal {-completed.exit_code}.", code="killed")
    text = completed.stderr.decode(errors="replace")
    for sign, error in _SIGNS:
        if sign in text:
            return type(error)(error.detail, code=error.code)
    return StepFailed(f"The encoder failed with exit code {completed.exit_code}.", code="encode_failed")


def technical(completed: Completed) -> str:
    """The last different complaints of FFmpeg, without addresses in memory, for the log."""
    text = re.sub(r" @ 0x[0-9a-f]+", "", completed.stderr.decode(errors="replace"))
    # Streams that are not wanted have decoders that are not allowed, which FFmpeg mentions every time.
    complaints = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip() and "not on whitelist" not in line))
    return " | ".join(complaints[-COMPLAINTS:])
