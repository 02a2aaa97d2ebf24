"""A conformance suite for servers of the tus resumable upload protocol, version 1.0.0 (https://tus.io/protocols/resumable-upload).

It speaks to any server over HTTP and knows nothing of how one is built: `python -m tus_conformance URL`. It stands alone in this
repository: no other package imports it, and it imports none of them. Beside the standard library it needs httpx.

`chapter` is what a case is, `cases` holds them by extension, `target` and `wire` talk to the server, `run` runs and `report` tells.
What the suite cannot see: tus has no way to read an upload back, so whether stored bytes are right shows only in offsets and digests.
"""

from tus_conformance.cases import CASES
from tus_conformance.chapter import Case, Severity
from tus_conformance.run import Outcome, Result, run_cases
from tus_conformance.target import Capabilities, Target

__all__ = ["CASES", "Capabilities", "Case", "Outcome", "Result", "Severity", "Target", "run_cases"]
