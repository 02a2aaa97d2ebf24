"""What the validator of HLS says of a title of ours, read from the store as the edge serves it, without servers in between."""

from __future__ import annotations

from hls_validation import Level, Report, validate_by
from hls_validation.fetch import Answer, Fetch, NotFetched
from kit.errors import NotFound
from kit.world import World
from media import keys
from media.grid import GOPS_PER_SEGMENT
from media.ids import AssetId
from media.isobmff import read_fragments
from tests.hls_titles import GZIP
from tests.presented import texts_of

BASE = "https://headwater.example/v/title/"


def reader(world: World, asset: AssetId) -> Fetch:
    """Gets anything of the presentation that is published now, at addresses below `BASE`."""
    texts = texts_of(world, asset)

    def stored(name: str) -> bytes:
        rendition, slash, gop = name.rpartition("/i/")
        if not slash:
            return world.storage.get(f"{keys.asset_prefix(asset)}{name}")
        index, place = divmod(int(gop.removesuffix(".m4s")), GOPS_PER_SEGMENT)
        whole = world.storage.get(f"{keys.asset_prefix(asset)}{rendition}/{index:05d}.m4s")
        part = list(read_fragments(whole))[place]
        return whole[part.offset : part.offset + part.keyframe_size]

    def fetch(url: str, part: tuple[int, int] | None, most: int) -> Answer:
        assert part is None
        name = url.removeprefix(BASE)
        try:
            return Answer(url, texts[name].encode() if name in texts else stored(name), headers=GZIP)
        except NotFound as error:
            raise NotFetched(f"{name} is not stored") from error

    return fetch


def judged(world: World, asset: AssetId) -> Report:
    """The report on the whole presentation."""
    return validate_by(reader(world, asset), f"{BASE}main.m3u8")


def must_failures(world: World, asset: AssetId) -> list[str]:
    """Every breach of a MUST, as a line. What was not checked would be one too: everything is there to be read."""
    report = judged(world, asset)
    found = [f"{finding.rule} {finding.where}: {finding.says}" for finding in report.findings if finding.level is Level.MUST]
    return found + [f"{rule} was not checked: {reason}" for rule, reason in report.unchecked.items() if rule != "M14"]
