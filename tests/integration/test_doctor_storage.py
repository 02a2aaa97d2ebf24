"""`headwater doctor storage` on a live store: what it passes, and that a store which is careless in one thing is found out."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from kit.settings import Settings
from kit.storage import ObjectInfo, s3_trials
from kit.storage.s3 import S3Storage, open_storage
from stack.doctor_storage import examine
from stack.findings import Finding, Outcome


def findings(settings: Settings) -> dict[str, Finding]:
    return {finding.title: finding for finding in examine(open_storage(settings))}


def test_the_store_that_we_bring_is_fit(settings: Settings) -> None:
    found = findings(settings)
    assert len(found) == 10
    assert found.pop("conditional writes").outcome is not Outcome.FAILED  # who wins that race is the store's affair: nothing depends on it
    assert [(item.title, item.said) for item in found.values() if item.outcome is not Outcome.OK] == []
    assert list(open_storage(settings).list("doctor/")) == [], "it cleans up behind itself"


def test_what_a_store_does_not_check_is_said_and_is_no_failure(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(storage: S3Storage, key: str, data: bytes, **_: Any) -> None:
        storage.put(key, data)

    monkeypatch.setattr(s3_trials, "put", careless)
    found = findings(settings)
    assert found["wrong checksums"].outcome is found["conditional writes"].outcome is Outcome.NOT_NOW
    assert found["conditional writes"].said.startswith("32 of 32 writers")


def test_a_clock_that_is_wrong(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = S3Storage.stat

    def long_ago(self: S3Storage, key: str) -> ObjectInfo:
        return dataclasses.replace(stat(self, key), modified_at=datetime(2001, 1, 1, tzinfo=UTC))

    monkeypatch.setattr(S3Storage, "stat", long_ago)
    found = findings(settings)["clock"]
    assert found.outcome is Outcome.FAILED
    assert "away from ours" in found.said


def test_a_bucket_that_is_open_to_everybody(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def served(_url: str, byte_range: str = "") -> tuple[int, bytes]:
        return (206, b"234") if byte_range else (200, b"0123456789")

    monkeypatch.setattr("stack.doctor_storage._get", served)
    found = findings(settings)["presigned addresses"]
    assert (found.outcome, found.said) == (Outcome.FAILED, "A presigned address with another signature was served.")
