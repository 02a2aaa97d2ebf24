"""/v1/assets/{asset_id}/quality: how good a title looks, over time, and having it measured."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from catalog import quality, store
from catalog.asset import AssetStatus, WrongStatus
from catalog.quality import Extent
from kit.world import World
from media.ids import AssetId
from media.plan import EncodePlan
from web.parameters import AssetPath
from web.resources import Vmaf, vmaf_resource

_Extent = Annotated[Extent, Query(description="sampled: five segments spread over the title; full: all of them.")]


class Point(BaseModel):
    """One segment that was looked at."""

    index: int
    start_s: float
    duration_s: float
    scores: list[float] = Field(description="Of every fifth picture, from the first one on.")


class RenditionQuality(BaseModel):
    name: str
    vmaf: Vmaf
    points: list[Point]


class LeftOut(BaseModel):
    name: str
    reason: str


class QualityResource(BaseModel):
    """Figures that mean something only together with the model, the pooling and the reference that they were made with."""

    model: Literal["vmaf_v0.6.1"]
    pooling: str
    reference: str
    pending: int = Field(description="Segments that are still to be scored.")
    failed: int = Field(description="Segments that could not be.")
    renditions: list[RenditionQuality]
    left_out: list[LeftOut]


def _present(conn: Connection, asset_id: str, plan: EncodePlan) -> QualityResource:
    figures = quality.of_assets(conn, [asset_id])
    over_time = quality.over_time(conn, asset_id, plan.digest)
    known = ((rung.name, figures.get((asset_id, plan.digest, rung.name))) for rung in plan.video)
    return QualityResource(
        model="vmaf_v0.6.1",
        pooling=quality.POOLING,
        reference=quality.REFERENCE,
        pending=quality.pending(conn, asset_id),
        failed=quality.failed(conn, asset_id, plan.digest),
        renditions=[
            RenditionQuality(
                name=name,
                vmaf=vmaf_resource(found),
                points=[_point(plan, index, scores) for index, scores in over_time.get(name, {}).items()],
            )
            for name, found in known
            if found is not None
        ],
        left_out=[LeftOut(name=name, reason=reason) for name, reason in quality.left_out(conn, asset_id, plan).items()],
    )


def _point(plan: EncodePlan, index: int, scores: tuple[float, ...]) -> Point:
    first, end = plan.grid.segment_bounds(index)
    rate = plan.grid.frame_rate
    return Point(index=index, start_s=round(float(first / rate), 3), duration_s=round(float((end - first) / rate), 3), scores=list(scores))


def _measurable(conn: Connection, asset_id: str) -> EncodePlan:
    """The plan of a title that is whole. Raises NotFound and WrongStatus."""
    asset = store.live_asset(conn, asset_id)
    if asset.status is not AssetStatus.READY:
        raise WrongStatus(f"This video is {asset.status}; its quality can be measured when it is ready.")
    return store.load_plan(conn, AssetId(asset_id))


def router(world: World, authenticate: Any) -> APIRouter:
    """The routes; every one needs a principal."""
    api = APIRouter(tags=["quality"], dependencies=[Depends(authenticate)])

    @api.get("/v1/assets/{asset_id}/quality")
    def get_quality(asset_id: AssetPath) -> QualityResource:
        """How good each rendition looks, as far as it has been measured."""
        with world.db.connect() as conn:
            return _present(conn, asset_id, _measurable(conn, asset_id))

    @api.post("/v1/assets/{asset_id}/quality", status_code=202)
    def measure_quality(asset_id: AssetPath, extent: _Extent = "sampled") -> QualityResource:
        """Have a title measured in the background, behind all other work. What has been measured is not measured again."""
        with world.db.begin() as conn:
            plan = _measurable(conn, asset_id)
            store.lock_asset(conn, asset_id)
            quality.want(conn, asset_id, plan, extent)
            return _present(conn, asset_id, plan)

    return api
