"""The JSON of the public contract, as types: what replies contain and what bodies may contain. Unknown fields are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from captions.resources import FEW_PROBLEMS, TrackResource, track_resource
from catalog import quality, sounds
from catalog.asset import (
    DESCRIPTION_LENGTH,
    EXTERNAL_ID_LENGTH,
    TAG_COUNT,
    TAG_LENGTH,
    TITLE_LENGTH,
    Asset,
    AssetStatus,
    EncryptionChoice,
    PlaybackPolicy,
    Profile,
)
from catalog.views import AssetView, RenditionView
from media.info import Hdr, MediaInfo

ASSET_EXAMPLE: dict[str, Any] = {
    "id": "ast_01m3g6p8dwn4x7k2v9q5c8r1ht",
    "title": "Big Buck Bunny",
    "description": "",
    "tags": ["animation"],
    "external_id": None,
    "metadata": {},
    "status": "processing",
    "playable": True,
    "progress": 0.42,
    "eta_s": 31.0,
    "error": None,
    "source": {
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "duration_s": 30.0,
        "width": 1920,
        "height": 1080,
        "frame_rate": "24/1",
        "video_codec": "h264",
        "audio_tracks": 1,
        "size_bytes": 4139823,
        "hdr": "sdr",
    },
    "renditions": [
        {
            "name": "1080p",
            "kind": "video",
            "codec": "avc1.640028",
            "width": 1920,
            "height": 1080,
            "frame_rate": "24/1",
            "bitrate_bps": None,
            "peak_bps": None,
            "status": "encoding",
            "progress": 0.4,
            "fps": 51.2,
            "error": None,
            "sound": None,
            "vmaf": None,
        }
    ],
    "encryption": "none",
    "tracks": [],
    "pictures": [],
    "poster_time_s": None,
    "normalize_audio": None,
    "playback_ids": [{"id": "7h2kq9vw3m1x5tz8c4pd", "policy": "public"}],
    "created_at": "2026-11-22T14:00:00Z",
    "updated_at": "2026-11-22T14:00:41Z",
    "timings": {"received_at": "2026-11-22T14:00:02Z", "playable_at": "2026-11-22T14:00:20Z", "ready_at": None},
}


def _no_zero(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a zero byte is not allowed in text")
    return text


Text = Annotated[str, AfterValidator(_no_zero)]
Title = Annotated[Text, StringConstraints(max_length=TITLE_LENGTH)]
Description = Annotated[Text, StringConstraints(max_length=DESCRIPTION_LENGTH)]
Tag = Annotated[Text, StringConstraints(min_length=1, max_length=TAG_LENGTH, strip_whitespace=True)]
Tags = Annotated[list[Tag], Field(max_length=TAG_COUNT)]
ExternalId = Annotated[Text, StringConstraints(min_length=1, max_length=EXTERNAL_ID_LENGTH)]
Metadata = Annotated[
    dict[Annotated[Text, StringConstraints(min_length=1, max_length=100)], Annotated[Text, StringConstraints(max_length=1000)]],
    Field(max_length=50),
]


PosterTime = Annotated[float, Field(ge=0, le=99_999)]  # seconds


class AssetError(BaseModel):
    code: str
    detail: str


class Source(BaseModel):
    """The accepted source; sizes are as displayed."""

    container: str
    duration_s: float
    width: int | None
    height: int | None
    frame_rate: str | None
    video_codec: str | None
    audio_tracks: int
    size_bytes: int
    hdr: Hdr | None


class Loudness(BaseModel):
    """EBU R 128 figures of a whole track; null where there is nothing but silence."""

    integrated_lufs: float | None
    range_lu: float | None
    true_peak_dbtp: float | None


class Sound(BaseModel):
    """What an audio rendition is. `gain_db` is what normalisation changed it by; `loudness` is measured when the track is whole."""

    language: str
    label: str
    channels: int
    default: bool
    gain_db: float
    loudness: Loudness | None


class Vmaf(BaseModel):
    """How good the pictures look beside the source: VMAF by this model, at 1080 lines. `below_floor`: the mean is less than `floor`, which
    is what the profile promises of a rendition of this size."""

    model: str
    mean: float = Field(description="Harmonic.")
    p5: float = Field(description="The 5th percentile.")
    min: float
    segments: int = Field(description="How many segments were looked at.")
    pictures: int = Field(description="How many pictures were scored.")
    floor: float | None
    below_floor: bool


class Rendition(BaseModel):
    """One stream of the presentation. Bit rates are null until all of its segments have been measured."""

    name: str
    kind: Literal["video", "audio"]
    codec: str
    width: int | None
    height: int | None
    frame_rate: str | None
    bitrate_bps: int | None
    peak_bps: int | None
    status: Literal["waiting", "encoding", "ready", "failed"]
    progress: float
    fps: float | None
    error: AssetError | None = None
    sound: Sound | None = None
    vmaf: Vmaf | None = Field(None, description="Null until quality was measured: `POST /v1/assets/{asset_id}/quality`.")


class PlaybackId(BaseModel):
    id: str
    policy: PlaybackPolicy


class Timings(BaseModel):
    received_at: datetime | None
    playable_at: datetime | None
    ready_at: datetime | None


class AssetResource(BaseModel):
    """One video title."""

    model_config = ConfigDict(json_schema_extra={"examples": [ASSET_EXAMPLE]})

    id: str
    title: str
    description: str
    tags: list[str]
    external_id: str | None
    metadata: dict[str, str]
    status: AssetStatus
    playable: bool
    progress: float
    eta_s: float | None
    error: AssetError | None
    source: Source | None
    renditions: list[Rendition]
    encryption: EncryptionChoice = Field(
        "none", description="What viewers need a key for. `default` is what the operator chose, and is decided when the title is planned."
    )
    tracks: list[TrackResource] = Field(description="Subtitles, captions and chapters.")
    pictures: list[str] = Field(
        [], description="What there is below `/v/{playback_id}/` beside the playlists and the poster: `storyboard.vtt`, `preview.mp4`."
    )
    poster_time_s: float | None = Field(None, description="The moment that the poster is to show; null: chosen for its content.")
    normalize_audio: bool | None = Field(None, description="What was asked for when it was uploaded; null: as the operator chose.")
    playback_ids: list[PlaybackId]
    created_at: datetime
    updated_at: datetime
    timings: Timings


class AssetList(BaseModel):
    data: list[AssetResource]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class NewImport(BaseModel):
    """An asset whose source is fetched from an address."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"input_url": "https://example.com/film.mp4", "title": "Film", "tags": ["demo"]}]}
    )

    input_url: Annotated[Text, StringConstraints(min_length=1, max_length=4096)] = Field(description="http or https.")
    title: Title | None = Field(None, description="The file name of the address when missing.")
    description: Description = ""
    tags: Tags = []
    external_id: ExternalId | None = None
    metadata: Metadata = {}
    profile: Profile = "default"
    encryption: EncryptionChoice = "default"
    normalize_audio: bool | None = Field(None, description="Make all sound as loud as that of others; null: as the operator chose.")
    playback_policy: PlaybackPolicy = "public"


class AssetChanges(BaseModel):
    """What is named is replaced; what is not named stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"title": "A better title", "tags": ["animation", "short"]}]})

    title: Title = ""
    description: Description = ""
    tags: Tags = []
    external_id: ExternalId | None = None
    metadata: Metadata = {}
    poster_time_s: PosterTime | None = Field(
        None, description="The poster shows this moment as soon as its picture is made; null: the one that is chosen for its content."
    )


def _rate(info: MediaInfo) -> str | None:
    return f"{info.video.frame_rate.numerator}/{info.video.frame_rate.denominator}" if info.video else None


def source_resource(info: MediaInfo) -> Source:
    video = info.video
    return Source(
        container=info.container,
        duration_s=round(float(info.duration), 3),
        width=video.width if video else None,
        height=video.height if video else None,
        frame_rate=_rate(info),
        video_codec=video.codec if video else None,
        audio_tracks=len(info.audio),
        size_bytes=info.size_bytes,
        hdr=video.hdr if video else None,
    )


def _sound_resource(sound: sounds.Sound) -> Sound:
    found = sound.loudness
    figures = None
    if found is not None:
        figures = Loudness(integrated_lufs=found.integrated_lufs, range_lu=found.range_lu, true_peak_dbtp=found.true_peak_dbtp)
    return Sound(
        language=sound.language,
        label=sound.label,
        channels=sound.channels,
        default=sound.is_default,
        gain_db=sound.gain_db,
        loudness=figures,
    )


def vmaf_resource(found: quality.Quality) -> Vmaf:
    pooled = found.summary
    return Vmaf(
        model=found.model,
        mean=pooled.mean,
        p5=pooled.p5,
        min=pooled.lowest,
        segments=found.segments,
        pictures=found.pictures,
        floor=found.least,
        below_floor=found.is_low,
    )


def rendition_resource(view: RenditionView) -> Rendition:
    row, progress = view.row, view.progress
    return Rendition(
        name=row.name,
        kind="audio" if row.kind == "audio" else "video",
        codec=row.codecs,
        width=row.width,
        height=row.height,
        frame_rate=row.frame_rate,
        bitrate_bps=row.bitrate_bps,
        peak_bps=row.peak_bps,
        status=progress.status,
        progress=round(progress.progress, 4),
        fps=progress.fps,
        error=AssetError(code=view.lost.code, detail=view.lost.detail) if view.lost else None,
        sound=_sound_resource(view.sound) if view.sound else None,
        vmaf=vmaf_resource(view.quality) if view.quality else None,
    )


def asset_resource(view: AssetView) -> AssetResource:
    """The public JSON of an asset. Pure."""
    asset: Asset = view.asset
    return AssetResource(
        id=asset.id,
        title=asset.title,
        description=asset.description,
        tags=list(asset.tags),
        external_id=asset.external_id,
        metadata=dict(asset.metadata),
        status=asset.status,
        playable=asset.playable,
        progress=view.progress.progress,
        eta_s=view.progress.eta_s,
        error=AssetError(code=asset.error_code, detail=asset.error_detail or "") if asset.error_code else None,
        source=source_resource(asset.source) if asset.source else None,
        renditions=[rendition_resource(item) for item in view.renditions],
        encryption=asset.encryption,
        tracks=[track_resource(track, view.playbacks, most_problems=FEW_PROBLEMS) for track in view.tracks],
        pictures=list(view.pictures),
        poster_time_s=asset.poster_time_s,
        normalize_audio=asset.normalize_audio,
        playback_ids=[PlaybackId(id=item.id, policy=item.policy) for item in view.playbacks],
        created_at=asset.created_at,
        updated_at=asset.updated_at,
        timings=Timings(received_at=asset.received_at, playable_at=asset.playable_at, ready_at=asset.ready_at),
    )
