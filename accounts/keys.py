"""API keys as values: how a secret looks, what is kept of it, and who a request turns out to be.

A secret is `hw_` and 256 random bits. Only its SHA-256 is stored: a fast hash is enough because the secret is random and
long, so there is nothing to guess; passwords are another matter and have no place here. `hint` (the last four characters)
lets an owner tell keys apart.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kit import ids

PREFIX = "hw_"
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as stored. The secret is not in it and cannot be recovered from it."""

    id: str  # key_…
    name: str
    hint: str  # the last four characters of the secret
    created_at: datetime
    last_used_at: datetime | None  # to the minute
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key and its secret: the only time that the secret exists outside the caller's hands."""

    key: ApiKey
    secret: str


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request. There is one tenant: every principal may do everything below `/v1`."""

    id: str  # key id, or "studio" for a browser session of an open studio
    name: str
    via: Literal["key", "session"]


def new_secret() -> str:
    return PREFIX + ids.token(SECRET_BYTES)


def digest(secret: str) -> str:
    """What is stored and looked up: SHA-256, hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def hint(secret: str) -> str:
    return secret[-4:]
