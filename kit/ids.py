"""The only source of randomness: ids, tokens and secrets."""

from __future__ import annotations

import os
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case: sorts like the number it spells


def _base32(value: int, digits: int) -> str:
    return "".join(_ALPHABET[(value >> 5 * place) & 31] for place in reversed(range(digits)))


def sortable(prefix: str) -> str:
    """`prefix_` and 26 characters: 48 bits of milliseconds, then 80 random bits, so ids sort by the time they were made."""
    return f"{prefix}_{_base32(time.time_ns() // 1_000_000, 10)}{_base32(int.from_bytes(os.urandom(10), 'big'), 16)}"


def random_id() -> str:
    """A random public id of 20 characters (100 bits)."""
    return _base32(int.from_bytes(os.urandom(13), "big"), 20)


def token(size_bytes: int = 24) -> str:
    """A URL-safe secret."""
    return secrets.token_urlsafe(size_bytes)


def roll() -> float:
    """A random number in [0, 1), for spreading retries."""
    return secrets.randbelow(1 << 53) / (1 << 53)


def secret_bytes(size_bytes: int) -> bytes:
    """A key or a nonce."""
    return secrets.token_bytes(size_bytes)
