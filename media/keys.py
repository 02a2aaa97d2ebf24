"""Every object key of the store, spelled here and nowhere else."""

from __future__ import annotations

from media.ids import AssetId, PlanDigest, UploadId

INCOMING = "incoming/"
SOURCES = "sources/"
UPLOADS = "uploads/"
PRESENTATIONS = "presentations/"


def source(asset: AssetId) -> str:
    """The uploaded file, byte for byte."""
    return f"{SOURCES}{asset}/source"


def asset_of(key: str) -> str | None:
    """The asset whose source or presentation has this key."""
    return key.split("/")[1] if key.startswith((SOURCES, PRESENTATIONS)) else None


def source_prefix(asset: AssetId) -> str:
    """Everything that belongs to the source of one asset."""
    return f"{SOURCES}{asset}/"


def upload_tail(upload: UploadId, epoch: int, end: int) -> str:
    """Received bytes that do not fill a part yet; named by the offset at which they end.

    The epoch of the request that received them is part of the name, so one that has lost its lease cannot replace the
    bytes of the one that took over.
    """
    return f"{UPLOADS}{upload}/tail-{epoch}-{end}"


def upload_early(upload: UploadId, generation: int, number: int) -> str:
    """A copy of one part, for those who work on the source while it arrives."""
    return f"{UPLOADS}{upload}/early-{generation}-{number:05d}"


def upload_prefix(upload: UploadId) -> str:
    return f"{UPLOADS}{upload}/"


def import_note(asset: AssetId) -> str:
    """Names the multipart upload of an import that is under way, so that the next attempt can free it."""
    return f"{UPLOADS}{asset}/import"


def plan_prefix(asset: AssetId, plan: PlanDigest) -> str:
    """Everything made for one plan of one asset; deleting an asset deletes `asset_prefix`."""
    return f"{PRESENTATIONS}{asset}/{plan}/"


def asset_prefix(asset: AssetId) -> str:
    return f"{PRESENTATIONS}{asset}/"


def init_segment(asset: AssetId, plan: PlanDigest, rendition: str) -> str:
    return f"{plan_prefix(asset, plan)}{rendition}/init.mp4"


def media_segment(asset: AssetId, plan: PlanDigest, rendition: str, index: int) -> str:
    return f"{plan_prefix(asset, plan)}{rendition}/{index:05d}.m4s"


def media_playlist(asset: AssetId, plan: PlanDigest, rendition: str) -> str:
    return f"{plan_prefix(asset, plan)}{rendition}/index.m3u8"


def iframe_playlist(asset: AssetId, plan: PlanDigest, rendition: str) -> str:
    return f"{plan_prefix(asset, plan)}{rendition}/iframes.m3u8"


def poster(asset: AssetId, plan: PlanDigest) -> str:
    return f"{plan_prefix(asset, plan)}poster.jpg"


def picture(asset: AssetId, plan: PlanDigest, name: str) -> str:
    """Posters, thumbnails, storyboard and preview, by the names of `media.pictures`."""
    return f"{plan_prefix(asset, plan)}{name}"


def download(asset: AssetId, plan: PlanDigest, download_id: str, suffix: str) -> str:
    """A static rendition: one whole file."""
    return f"{plan_prefix(asset, plan)}download/{download_id}.{suffix}"


def iframe_name(gop: int) -> str:
    """The I-frame of one group of pictures, relative to its rendition. No object has this name: it is a part of a segment."""
    return f"i/{gop:05d}.m4s"


def text_cues(asset: AssetId, sha256: str) -> str:
    """The cues of a text track as they were read from its file; below the asset, because no plan changes them."""
    return f"{asset_prefix(asset)}cues/{sha256}.json"


def text_pack(asset: AssetId, digest: str) -> str:
    """Everything that viewers are sent of a text track."""
    return f"{asset_prefix(asset)}text/{digest}"
