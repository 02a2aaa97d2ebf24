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


def upload_tail(upload: UploadId, offset: int) -> str:
    """Received bytes that do not fill a part yet; named by the offset at which they end."""
    return f"{UPLOADS}{upload}/tail-{offset}"


def upload_prefix(upload: UploadId) -> str:
    return f"{UPLOADS}{upload}/"


def plan_prefix(asset: AssetId, plan: PlanDigest) -> str:
    """Everything made for one plan of one asset; deleting an asset deletes `asset_prefix`."""
    return f"{PRESENTATIONS}{asset}/{plan}/"


def asset_prefix(asset: AssetId) -> str:
    return f"{PRESENTATIONS}{asset}/"


def init_segment(asset: AssetId, plan: PlanDigest, rendition: str) -> str:
    return f"{plan_prefix(asset, plan)}{rendition}/init.mp4"


def media_segment(asset: AssetId, plan: PlanDigest, rendition: str, index: int) -> str:
    return f"{plan_prefix(asset, plan)}{rendition}/{index:05d}.m4s"


def poster(asset: AssetId, plan: PlanDigest) -> str:
    return f"{plan_prefix(asset, plan)}poster.jpg"
