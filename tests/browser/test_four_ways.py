"""One file, four ways in: the page (tus-js-client), `headwater upload`, tuspy and a plain PUT. The store holds the same bytes each time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tusclient.client import TusClient

from kit.storage import Storage
from kit.storage.s3 import open_storage
from media import keys
from media.ids import AssetId
from stack.doctor import Subject, settings_of
from tests.browser.conftest import Open, Studio
from tests.browser.test_library import asset_id, card
from tests.clips import Clips
from tests.local_stack import LocalStack


@pytest.fixture
def store(local_stack: LocalStack) -> Storage:
    """The object store of the running stack, reached as its workers reach it."""
    settings = settings_of(Subject({}, local_stack.data, local_stack.port))
    assert settings is not None
    return open_storage(settings)


def by_page(visit: Open, source: Path) -> str:
    page = visit("/").page
    page.set_input_files("[data-file]", source)
    mine = card(page, source.stem)
    return asset_id(mine)


def by_tuspy(studio: Studio, local_stack: LocalStack, source: Path) -> str:
    client = TusClient(f"{local_stack.url}/v1/tus", headers={"Authorization": f"Bearer {local_stack.api_key}"})
    with source.open("rb") as file:
        uploader = client.uploader(file_stream=file, chunk_size=50_000, metadata={"title": "By tuspy"})
        uploader.upload()
    upload_id = uploader.url.split("/")[-2]
    return str(studio.client.get(f"/v1/uploads/{upload_id}").raise_for_status().json()["asset_id"])


def test_every_way_in_stores_the_same_bytes(
    visit: Open, studio: Studio, local_stack: LocalStack, store: Storage, clips: Clips, tmp_path: Path
) -> None:
    source = tmp_path / "Four ways.mp4"
    source.write_bytes(clips("plain").read_bytes())
    sent = local_stack.command("upload", str(source), "--title", "By command", "--json")
    assets = {
        "page": by_page(visit, source),
        "headwater upload": json.loads(sent.stdout)["id"],
        "tuspy": by_tuspy(studio, local_stack, source),
        "PUT": studio.send(source, "By PUT"),
    }
    for asset in assets.values():
        studio.wait(asset)
    found = {way: hashlib.sha256(store.get(keys.source(AssetId(asset)))).hexdigest() for way, asset in assets.items()}
    assert found == dict.fromkeys(assets, hashlib.sha256(source.read_bytes()).hexdigest())
    assert len(set(assets.values())) == len(assets)
