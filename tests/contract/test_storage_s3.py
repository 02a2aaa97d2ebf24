"""A live S3 server, through our client, keeps the contract; and again over a network that breaks connections."""

from __future__ import annotations

import dataclasses
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.errors import Unavailable
from kit.settings import Settings
from kit.storage import MissingObject, Storage, StorageRefused
from kit.storage.s3 import S3Storage, open_storage
from stack.servers import S3Settings
from tests.contract.breaking_proxy import BreakingProxy
from tests.contract.storage_suite import MIB, StorageSuite, filler


@pytest.fixture(scope="module")
def s3(s3_settings: S3Settings, s3_bucket: str) -> Settings:
    return Settings(
        database_url="", broker_url="", secret_key="", s3_endpoint=s3_settings.s3_endpoint, s3_region=s3_settings.s3_region,
        s3_access_key=s3_settings.s3_access_key, s3_secret_key=s3_settings.s3_secret_key, s3_bucket=s3_bucket,
    )  # fmt: skip


@pytest.fixture
def live(s3: Settings) -> S3Storage:
    return open_storage(s3)


@pytest.fixture
def proxy(s3: Settings) -> Iterator[BreakingProxy]:
    with BreakingProxy(s3.s3_endpoint) as running:
        yield running


@pytest.fixture
def through_proxy(s3: Settings, proxy: BreakingProxy) -> S3Storage:
    return open_storage(dataclasses.replace(s3, s3_endpoint=proxy.address))


class TestS3Storage(StorageSuite):
    @pytest.fixture
    def storage(self, live: S3Storage) -> Storage:
        return live


class TestS3StorageOverBreakingConnections(StorageSuite):
    """Every third connection is cut before the answer: the client tries again, and nothing else changes."""

    @pytest.fixture
    def storage(self, through_proxy: S3Storage, proxy: BreakingProxy) -> Storage:
        proxy.cut_before_answer = lambda connection: connection % 3 == 2
        return through_proxy


def test_a_body_that_breaks_off_is_never_short_data(through_proxy: S3Storage, proxy: BreakingProxy, tmp_path: Path) -> None:
    key = f"suite/{secrets.token_hex(6)}/object"
    through_proxy.put(key, filler(2 * MIB))
    proxy.cut_answer_after_bytes = 700_000
    with pytest.raises(Unavailable):
        through_proxy.get(key)
    pieces: list[bytes] = []
    with pytest.raises(Unavailable):
        pieces.extend(through_proxy.stream(key, start=10, chunk_bytes=50_000))
    with pytest.raises(Unavailable):
        through_proxy.download(key, tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_away_is_unavailable(s3: Settings) -> None:
    nowhere = open_storage(dataclasses.replace(s3, s3_endpoint="http://127.0.0.1:1"))
    with pytest.raises(Unavailable) as away:
        nowhere.put("suite/object", b"x")
    assert away.value.code == "storage_unavailable"


def test_wrong_keys_are_refused_and_not_called_missing(s3: Settings) -> None:
    stranger = open_storage(dataclasses.replace(s3, s3_secret_key="wrong"))
    with pytest.raises(StorageRefused):
        stranger.put("suite/object", b"x")


def test_large_objects_are_copied_in_parts(live: S3Storage) -> None:
    key = f"suite/{secrets.token_hex(6)}/"
    small_limit = S3Storage(live._client, live._bucket, copy_limit_bytes=5 * MIB)
    live.put(key + "source", filler(12 * MIB))
    small_limit.copy(key + "source", key + "copy")
    assert live.get(key + "copy") == filler(12 * MIB)
    assert "-" in live.stat(key + "copy").etag  # the tag of an object made of parts says so


def test_a_large_file_is_put_in_parts(live: S3Storage, tmp_path: Path) -> None:
    key, source, target = f"suite/{secrets.token_hex(6)}/object", tmp_path / "source", tmp_path / "target"
    source.write_bytes(filler(70 * MIB))
    live.put(key, source)
    live.download(key, target)
    assert target.read_bytes() == source.read_bytes()
    live.delete(key)


def test_the_bucket_is_made_once(s3: Settings) -> None:
    fresh = open_storage(dataclasses.replace(s3, s3_bucket=f"fresh-{secrets.token_hex(4)}"))
    with pytest.raises((MissingObject, StorageRefused)):
        fresh.get("object")
    fresh.ensure_bucket()
    fresh.ensure_bucket()
    fresh.put("object", b"x")
    assert fresh.get("object") == b"x"


def test_a_presigned_address_is_readable_until_it_expires(live: S3Storage) -> None:
    key = f"suite/{secrets.token_hex(6)}/o bject"
    live.put(key, b"0123456789", content_type="video/mp4")
    address = live.presign_get(key, expires_s=60)
    request = urllib.request.Request(address, headers={"Range": "bytes=2-4"})
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, answer.read(), answer.headers["Content-Type"]) == (206, b"234", "video/mp4")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address.replace("X-Amz-Signature=", "X-Amz-Signature=0"))
    refused.value.close()
    assert refused.value.code == 403


def test_what_was_damaged_on_its_way_is_refused(through_proxy: S3Storage, proxy: BreakingProxy, live: S3Storage) -> None:
    key = f"damaged/{secrets.token_hex(4)}"
    proxy.on_the_way = lambda data: data.replace(b"\xee", b"\xef")  # no header has such a byte
    with pytest.raises(StorageRefused):
        through_proxy.put(key, b"\xee" * 1000)
    with pytest.raises(MissingObject):
        live.stat(key)
    proxy.on_the_way = lambda data: data
    through_proxy.put(key, b"\xee" * 1000)
    assert live.get(key) == b"\xee" * 1000
