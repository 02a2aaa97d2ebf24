"""Errors that the product expects, each with a stable code, a sentence for people, and how a retry would go.

    HeadwaterError
    ├── BadRequest      400  the caller asked for something impossible
    ├── Unauthorized    401  no key, or a wrong one
    ├── Forbidden       403  a key that may not do this
    ├── NotFound        404
    ├── Conflict        409  true, but not now
    ├── Gone            410
    ├── TooLarge        413
    ├── Rejected        422  the media itself is the reason; never retried
    ├── TooMany         429  a limit per caller is reached; the same request works later
    ├── Unavailable     503  a dependency is away; retried without using up an attempt
    └── StepFailed      500  a background step failed; retried with back-off, `code` says what happened

Anything else that is raised is a bug, and is reported as one.
"""

from __future__ import annotations

from enum import Enum


class Retry(Enum):
    """What running the same thing again would achieve."""

    NEVER = "never"  # the input is the reason
    COUNTED = "counted"  # may work; uses up an attempt
    FREE = "free"  # not our fault and not the input's; uses up no attempt


class HeadwaterError(Exception):
    """Base of all expected errors. `code` is stable and documented; `detail` is a sentence a person understands."""

    status = 500
    code = "internal"
    retry = Retry.COUNTED
    retry_after_s: int | None = None  # when the same request may work, if that is known

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class BadRequest(HeadwaterError):
    status, code, retry = 400, "bad_request", Retry.NEVER


class Unauthorized(HeadwaterError):
    status, code, retry = 401, "unauthorized", Retry.NEVER


class Forbidden(HeadwaterError):
    status, code, retry = 403, "forbidden", Retry.NEVER


class NotFound(HeadwaterError):
    status, code, retry = 404, "not_found", Retry.NEVER


class Conflict(HeadwaterError):
    status, code, retry = 409, "conflict", Retry.NEVER


class Gone(HeadwaterError):
    status, code, retry = 410, "gone", Retry.NEVER


class TooLarge(HeadwaterError):
    status, code, retry = 413, "too_large", Retry.NEVER


class Rejected(HeadwaterError):
    """The source cannot be published. `code` is one of the documented codes of `ingest.checks`."""

    status, code, retry = 422, "unsupported_format", Retry.NEVER


class TooMany(HeadwaterError):
    status, code, retry = 429, "too_many_requests", Retry.NEVER

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class Unavailable(HeadwaterError):
    status, code, retry = 503, "unavailable", Retry.FREE


class StepFailed(HeadwaterError):
    status, code, retry = 500, "step_failed", Retry.COUNTED
