"""What an asset is, and what can happen to it: the lifecycle as a table, and the values that `catalog.store` returns.

An asset is one video title. Its `status` says where it is in its life; `playable` is a separate fact, because a title can be
watched before all of its renditions are finished. `TRANSITIONS` is the whole lifecycle: a pair that is missing from it is
refused. Pairs that lead back to the same status are harmless repeats, which happen because every background step may run
twice, or may finish after its asset was deleted.

This module decides nothing about jobs, files or HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, get_args

from kit.errors import Conflict, HeadwaterError, Retry
from media.ids import AssetId, PlanDigest, PlaybackId
from media.info import MediaInfo

PlaybackPolicy = Literal["public", "signed"]
PLAYBACK_POLICIES: tuple[PlaybackPolicy, ...] = get_args(PlaybackPolicy)
Profile = Literal["default", "h264", "mobile", "h264+hevc", "h264+av1", "archive"]  # "default": what the operator chose
PROFILES: tuple[Profile, ...] = get_args(Profile)
EncryptionChoice = Literal["default", "none", "aes-128", "cbcs"]  # "default": what the operator chose
ENCRYPTIONS: tuple[EncryptionChoice, ...] = get_args(EncryptionChoice)
Stage = Literal["planned", "ready"]
TITLE_LENGTH, DESCRIPTION_LENGTH, EXTERNAL_ID_LENGTH = 300, 10_000, 255  # characters that are kept at most
TAG_LENGTH, TAG_COUNT = 100, 50


class AssetStatus(StrEnum):
    WAITING = "waiting"  # created; no byte of the source has arrived
    UPLOADING = "uploading"  # the source is arriving
    PROCESSING = "processing"  # the source is here and is being probed, encoded and packaged
    READY = "ready"  # every rendition of the plan is published
    ERRORED = "errored"  # given up; `error_code` and `error_detail` say why
    DELETED = "deleted"  # gone for everyone at once; its objects follow


class AssetEvent(StrEnum):
    RECEIVING = "receiving"  # bytes of the source begin to arrive
    RECEIVED = "received"  # the whole source is in the store
    PLAYABLE = "playable"  # its opening can be watched
    COMPLETED = "completed"  # the presentation with every rendition was published
    FAILED = "failed"  # a step gave up, or the source was refused
    DELETE = "delete"  # the owner deleted it


_S = AssetStatus
_E = AssetEvent

TRANSITIONS: Mapping[tuple[AssetStatus, AssetEvent], AssetStatus] = {
    (_S.WAITING, _E.RECEIVING): _S.UPLOADING,
    (_S.WAITING, _E.RECEIVED): _S.PROCESSING,  # a small source arrives in one piece
    (_S.WAITING, _E.FAILED): _S.ERRORED,
    (_S.WAITING, _E.DELETE): _S.DELETED,
    (_S.UPLOADING, _E.RECEIVING): _S.UPLOADING,
    (_S.UPLOADING, _E.RECEIVED): _S.PROCESSING,
    (_S.UPLOADING, _E.PLAYABLE): _S.UPLOADING,  # a source whose index comes first is worked on while it arrives
    (_S.UPLOADING, _E.FAILED): _S.ERRORED,
    (_S.UPLOADING, _E.DELETE): _S.DELETED,
    (_S.PROCESSING, _E.RECEIVED): _S.PROCESSING,
    (_S.PROCESSING, _E.PLAYABLE): _S.PROCESSING,
    (_S.PROCESSING, _E.COMPLETED): _S.READY,
    (_S.PROCESSING, _E.FAILED): _S.ERRORED,
    (_S.PROCESSING, _E.DELETE): _S.DELETED,
    (_S.READY, _E.RECEIVED): _S.READY,
    (_S.READY, _E.PLAYABLE): _S.READY,
    (_S.READY, _E.COMPLETED): _S.READY,
    (_S.READY, _E.FAILED): _S.READY,  # what is published stays published; a late failure of a repeat changes nothing
    (_S.READY, _E.DELETE): _S.DELETED,
    (_S.ERRORED, _E.PLAYABLE): _S.ERRORED,  # renditions that were finished before the failure may still be published
    (_S.ERRORED, _E.COMPLETED): _S.ERRORED,
    (_S.ERRORED, _E.FAILED): _S.ERRORED,
    (_S.ERRORED, _E.DELETE): _S.DELETED,
    (_S.DELETED, _E.RECEIVING): _S.DELETED,  # deletion absorbs whatever was still under way
    (_S.DELETED, _E.RECEIVED): _S.DELETED,
    (_S.DELETED, _E.PLAYABLE): _S.DELETED,
    (_S.DELETED, _E.COMPLETED): _S.DELETED,
    (_S.DELETED, _E.FAILED): _S.DELETED,
    (_S.DELETED, _E.DELETE): _S.DELETED,
}


class WrongStatus(Conflict):
    """The event cannot happen to an asset of this status."""

    code = "wrong_status"


class PreconditionFailed(HeadwaterError):
    """`If-Match` named another version (RFC 9110 section 13.1.1)."""

    status, code, retry = 412, "precondition_failed", Retry.NEVER


def next_status(status: AssetStatus, event: AssetEvent) -> AssetStatus:
    """The status after `event`. Raises WrongStatus."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise WrongStatus(f"The asset is {status}, so it cannot become {event}.") from None


def changes(asset: Asset, event: AssetEvent, now: Any) -> dict[str, Any]:
    """The fields that `event` changes, at `now` (a time, or what stands for it in SQL). A deleted asset stays as it is. Raises
    WrongStatus."""
    status = next_status(asset.status, event)
    if asset.status is AssetStatus.DELETED:
        return {}
    values: dict[str, Any] = {"status": str(status)}
    if event is AssetEvent.RECEIVED and asset.received_at is None:
        values["received_at"] = now
    if event in (AssetEvent.PLAYABLE, AssetEvent.COMPLETED):
        values |= {"playable": True} | ({"playable_at": now} if asset.playable_at is None else {})
    if status is AssetStatus.READY and asset.ready_at is None:
        values["ready_at"] = now
    if status is AssetStatus.DELETED:
        values |= {"deleted_at": now, "playable": False}
    return values


@dataclass(frozen=True, slots=True)
class NewAsset:
    """What a caller says about a title before its source exists."""

    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    profile: Profile = "default"
    playback_policy: PlaybackPolicy = "public"
    encryption: EncryptionChoice = "default"
    normalize_audio: bool | None = None  # None: as the operator chose


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset as stored. `version` rises with every change a client makes, and is what `If-Match` compares."""

    id: AssetId
    title: str
    description: str
    tags: tuple[str, ...]
    external_id: str | None
    metadata: Mapping[str, str]
    status: AssetStatus
    playable: bool
    error_code: str | None
    error_detail: str | None
    source: MediaInfo | None
    source_key: str | None
    source_size_bytes: int | None
    source_digest: str | None  # what plans know the source by: SHA-256 (hex) of its bytes, or "index:" and that of its index
    profile: Profile
    playback_policy: PlaybackPolicy
    plan_digest: PlanDigest | None
    created_at: datetime
    updated_at: datetime
    received_at: datetime | None
    playable_at: datetime | None
    ready_at: datetime | None
    deleted_at: datetime | None
    version: int
    source_sha256: str | None = None  # of the source's bytes, hex; known a while after the source
    encryption: EncryptionChoice = "none"  # "default" until the title is planned
    poster_time_s: float | None = None  # presentation time that the poster is to show; None: chosen for its content
    normalize_audio: bool | None = None  # whether its sound is made as loud as others; None: as the operator chose

    def wants_normal_loudness(self, *, operator_does: bool) -> bool:
        """Whether its sound is to be made as loud as others. `operator_does`: whether the operator chose so."""
        return operator_does if self.normalize_audio is None else self.normalize_audio


@dataclass(frozen=True, slots=True)
class Playback:
    """A public address of an asset."""

    id: PlaybackId
    policy: PlaybackPolicy


@dataclass(frozen=True, slots=True)
class InitSegment:
    """The stored init segment of one rendition of a plan: what every chunk's own must equal."""

    sha256: str  # hex
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredPlaylist:
    """A media or I-frame playlist as it lies in the store, below its rendition."""

    rendition: str
    name: str  # index.m3u8, iframes.m3u8
    sha256: str  # hex
    size_bytes: int


@dataclass(frozen=True, slots=True)
class NewPresentation:
    """What is to be published: `multivariant` is whatever the packager needs to render the playlists, as JSON."""

    plan_digest: PlanDigest
    stage: Stage
    multivariant: Mapping[str, Any]
    has_poster: bool
    playlists: tuple[StoredPlaylist, ...] = ()
    without: frozenset[str] = frozenset()  # renditions that were given up when it was made


@dataclass(frozen=True, slots=True)
class PublishedPresentation:
    """What viewers get now: the one row that publishing changes."""

    asset_id: AssetId
    plan_digest: PlanDigest
    stage: Stage
    multivariant: Mapping[str, Any]
    has_poster: bool
    published_at: datetime


def replaces(new: NewPresentation, current: PublishedPresentation | None) -> bool:
    """Whether viewers should get `new`: what is planned never takes the place of what is ready, of the same plan."""
    return current is None or (new.stage, current.stage) != ("planned", "ready") or new.plan_digest != current.plan_digest


@dataclass(frozen=True, slots=True)
class PlaybackTarget:
    """What a playback id stands for at this moment."""

    playback_id: PlaybackId
    asset: Asset  # without the key frame times of its source
    plan_digest: PlanDigest
    presentation: PublishedPresentation
