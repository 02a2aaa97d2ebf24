"""Logs: one line for one event, for people first, with fields that a machine can find.

    2026-11-22T14:12:10.123Z info  worker  step done kind=transcode.encode job=job_01… wall_s=8.2

Standard library logging underneath, so `logging.getLogger(__name__)` works too; `logger` only adds the fields. Third
parties are heard from warnings up. A stack trace appears where a bug is reported, never for an expected failure.
No value given to a log may be a secret or a presigned address: nothing here could tell.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

_QUIET = (
    "alembic",
    "asyncio",
    "boto3",
    "botocore",
    "s3transfer",
    "urllib3",
    "httpx",
    "httpcore",
    "sqlalchemy",
    "minio",
    "tzlocal",
    "multipart",
)


def configure(level: str, *, stream: TextIO | None = None) -> None:
    """Sends every log of this process to `stream` (standard error). Replaces what was configured before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(OneLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def logger(name: str) -> Log:
    """The log of a room or module, by its dotted module name."""
    return Log(logging.getLogger(name))


class Log:
    """A logger whose messages carry named values instead of being formatted with them."""

    def __init__(self, under: logging.Logger) -> None:
        self._under = under

    def debug(self, message: str, **fields: Any) -> None:
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: Any) -> None:
        self._write(logging.ERROR, message, fields)

    def bug(self, message: str, error: BaseException, **fields: Any) -> None:
        """Something that nobody expected: the only kind of line that brings a stack trace."""
        self._write(logging.ERROR, message, fields, error)

    def _write(self, level: int, message: str, fields: Mapping[str, Any], error: BaseException | None = None) -> None:
        if self._under.isEnabledFor(level):
            self._under.log(level, "%s", message, exc_info=error, extra={"fields": fields})


class OneLine(logging.Formatter):
    """Time, level, short name, message, then `key=value` for every field."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(record.msecs):03d}Z"
        parts = [time, f"{record.levelname.lower():<7}", _short(record.name), " " + _flat(record.getMessage())]
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        parts += [f"{name}={_value(value)}" for name, value in fields.items() if value is not None]
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _short(name: str) -> str:
    """`ingest.tus` says enough as `ingest`; a third party keeps its first name as well."""
    return name.partition(".")[0]


def _value(value: Any) -> str:
    text = _flat(f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value))
    return f'"{text}"' if not text or " " in text or '"' in text else text


def _flat(text: str) -> str:
    """One line, whatever a title or a program's complaint contains: nobody may forge a line of the log."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
