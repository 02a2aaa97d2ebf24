"""The object store over plain S3: the only module that knows boto3.

Works with any server that has Put, Get with Range, Head, Delete, ListV2, multipart and presigned GET: addresses are path-style,
and the checksums newer SDKs add by themselves are sent only where S3 demands them, because several servers refuse them.
Whatever is put in one piece carries its MD5, which S3 has always checked: a body that was damaged on its way is refused, not stored.
Every error leaves as one of `kit.storage`'s; a body that ends early is always an error. Clients are safe to share between
threads, but not across a fork.

It never takes part in locking: no conditional writes, no reliance on listing order.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError, ResponseStreamingError

from kit import metrics
from kit.errors import HeadwaterError, Unavailable
from kit.ids import token
from kit.settings import Settings
from kit.storage import MissingObject, MissingUpload, ObjectInfo, OpenMultipart, StorageRefused, StoredPart

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MIB = 1 << 20
_PART_BYTES = 64 * MIB  # parts of large puts and copies; grows where 10,000 parts would not be enough
_MAX_PARTS = 10_000
_MISSING = {"404", "NoSuchKey", "NotFound"}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "RequestTimeTooSkewed", "503", "500", "502", "504", "429"}

T = TypeVar("T")


def open_storage(settings: Settings) -> S3Storage:
    """The bucket the settings name. Opens no connection."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "max_attempts": 4},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=32,
            tcp_keepalive=True,
        ),
    )
    return S3Storage(client, settings.s3_bucket)


class S3Storage:
    """`kit.storage.Storage` on one bucket of an S3 service."""

    def __init__(self, client: S3Client, bucket: str, *, copy_limit_bytes: int = 1024 * MIB) -> None:
        """`copy_limit_bytes`: larger objects are copied in parts. S3's own limit is 5 GiB, but a server that really copies the
        bytes may need longer for that than a connection stays open without an answer."""
        self._client = client
        self._bucket = bucket
        self._copy_limit_bytes = copy_limit_bytes

    def ensure_bucket(self) -> None:
        """Creates the bucket where it is missing. Raises StorageRefused where it may not."""
        try:
            self._call("head_bucket", self._client.head_bucket)
        except MissingObject:
            try:
                self._call("create_bucket", self._client.create_bucket)
            except StorageRefused as refused:
                if refused.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:  # another process was faster
                    raise

    def put(self, key: str, data: bytes | BinaryIO | Path, *, content_type: str = "application/octet-stream") -> None:
        if isinstance(data, Path):
            with data.open("rb") as file:
                self.put(key, file, content_type=content_type)
        elif isinstance(data, bytes):
            digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
            self._call("put", self._client.put_object, Key=key, Body=data, ContentType=content_type, ContentMD5=digest)
        else:
            # Threads are not used: a step already runs beside others, and an interrupted transfer must leave nothing running.
            transfer = TransferConfig(multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, use_threads=False)
            self._call("put", self._client.upload_fileobj, Fileobj=data, Key=key, ExtraArgs={"ContentType": content_type}, Config=transfer)

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return b"".join(self.stream(key, start=start, end=end))

    def stream(self, key: str, *, start: int = 0, end: int | None = None, chunk_bytes: int = MIB) -> Iterator[bytes]:
        """As the protocol says. The request is made now, so MissingObject is raised here and not at the first piece."""
        if end is not None and end <= start:
            self.stat(key)
            return iter(())
        bounds = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        try:
            answer = self._call("get", self._client.get_object, Key=key, **bounds)
        except StorageRefused as refused:
            if refused.code in {"InvalidRange", "416"}:  # the range begins past the end: there is nothing there
                return iter(())
            raise
        return _pieces(key, answer["Body"], answer["ContentLength"], chunk_bytes)

    def download(self, key: str, target: Path) -> None:
        partial = target.with_name(f".{target.name}.{token(6)}.part")
        try:
            with partial.open("xb") as file:
                for piece in self.stream(key):
                    file.write(piece)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def stat(self, key: str) -> ObjectInfo:
        answer = self._call("stat", self._client.head_object, Key=key)
        return ObjectInfo(key, answer["ContentLength"], answer["ETag"].strip('"'), answer["LastModified"])

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        after: dict[str, str] = {}
        while True:
            page = self._call("list", self._client.list_objects_v2, Prefix=prefix, **after)
            for item in page.get("Contents", []):
                yield ObjectInfo(item["Key"], item["Size"], item["ETag"].strip('"'), item["LastModified"])
            if not page.get("IsTruncated"):
                return
            after = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        with suppress(MissingObject):
            self._call("delete", self._client.delete_object, Key=key)

    def copy(self, source_key: str, target_key: str) -> None:
        found = self.stat(source_key)
        if found.size_bytes > self._copy_limit_bytes:
            self._copy_in_parts(found, target_key)
        else:
            self._call("copy", self._client.copy_object, Key=target_key, CopySource={"Bucket": self._bucket, "Key": source_key})

    def _copy_in_parts(self, found: ObjectInfo, target_key: str) -> None:
        part_bytes = max(min(_PART_BYTES, self._copy_limit_bytes), -(-found.size_bytes // _MAX_PARTS))
        upload_id = self.create_multipart(target_key)
        try:
            parts = [
                self._copy_part(target_key, upload_id, number, source=found.key, bounds=(start, min(start + part_bytes, found.size_bytes)))
                for number, start in enumerate(range(0, found.size_bytes, part_bytes), start=1)
            ]
            self.complete_multipart(target_key, upload_id, parts)
        except HeadwaterError:
            self.abort_multipart(target_key, upload_id)
            raise

    def _copy_part(self, key: str, upload_id: str, number: int, *, source: str, bounds: tuple[int, int]) -> StoredPart:
        answer = self._call(
            "copy_part",
            self._client.upload_part_copy,
            Key=key,
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": self._bucket, "Key": source},
            CopySourceRange=f"bytes={bounds[0]}-{bounds[1] - 1}",
        )
        return StoredPart(number, answer["CopyPartResult"]["ETag"].strip('"'), bounds[1] - bounds[0])

    def create_multipart(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        answer = self._call("create_multipart", self._client.create_multipart_upload, Key=key, ContentType=content_type)
        return answer["UploadId"]

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | BinaryIO) -> StoredPart:
        size = len(data) if isinstance(data, bytes) else _remaining_bytes(data)
        answer = self._call("put_part", self._client.upload_part, Key=key, UploadId=upload_id, PartNumber=number, Body=data)
        return StoredPart(number, answer["ETag"].strip('"'), size)

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        chosen = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in sorted(parts, key=lambda part: part.number)]
        try:
            self._call(
                "complete_multipart", self._client.complete_multipart_upload, Key=key, UploadId=upload_id, MultipartUpload={"Parts": chosen}
            )
        except MissingUpload as missing:
            try:
                self.stat(key)  # completed before, and the answer was lost on its way
            except MissingObject:
                raise missing from None

    def abort_multipart(self, key: str, upload_id: str) -> None:
        with suppress(MissingUpload, MissingObject):
            self._call("abort_multipart", self._client.abort_multipart_upload, Key=key, UploadId=upload_id)

    def open_multiparts(self, prefix: str) -> Iterator[OpenMultipart]:
        after: dict[str, str] = {}
        while True:
            page = self._call("open_multiparts", self._client.list_multipart_uploads, Prefix=prefix, **after)
            for item in page.get("Uploads", []):
                if item["Key"].startswith(prefix):
                    yield OpenMultipart(item["Key"], item["UploadId"], item["Initiated"])
            if not page.get("IsTruncated"):
                return
            after = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page.get("NextUploadIdMarker", "")}

    def presign_get(self, key: str, *, expires_s: int) -> str:
        return self._client.generate_presigned_url("get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=expires_s)

    def _call(self, verb: str, send: Callable[..., T], **request: Any) -> T:
        """Runs one request on the bucket, counts it, and says in our own words what went wrong."""
        try:
            answer = send(Bucket=self._bucket, **request)
        except (ClientError, BotoCoreError, Boto3Error) as error:
            said = _in_our_words(error, request.get("Key", self._bucket))
            metrics.STORAGE_CALLS.labels(verb, _outcome(said)).inc()
            raise said from error
        metrics.STORAGE_CALLS.labels(verb, "ok").inc()
        return answer


def _outcome(error: HeadwaterError) -> str:
    if isinstance(error, Unavailable):
        return "unavailable"
    return "refused" if isinstance(error, StorageRefused) else "missing"


def _remaining_bytes(file: BinaryIO) -> int:
    here = file.tell()
    size = file.seek(0, io.SEEK_END) - here
    file.seek(here)
    return size


def _pieces(key: str, body: Any, length: int, chunk_bytes: int) -> Iterator[bytes]:
    """The body in pieces; raises Unavailable when it breaks off before `length` bytes."""
    received = 0
    try:
        while piece := body.read(chunk_bytes):
            received += len(piece)
            yield piece
    except (IncompleteReadError, ResponseStreamingError, HTTPClientError) as error:
        raise Unavailable(f"The object store broke off {key} after {received} of {length} bytes.", code="storage_unavailable") from error
    finally:
        body.close()
    if received != length:
        raise Unavailable(f"The object store broke off {key} after {received} of {length} bytes.", code="storage_unavailable")


def _in_our_words(error: Exception, key: str) -> HeadwaterError:
    if isinstance(error, Boto3Error):
        cause = error.__cause__ or error.__context__  # transfers wrap the error of the request that failed
        if isinstance(cause, ClientError | BotoCoreError):
            return _in_our_words(cause, key)
        return StorageRefused(f"The object store failed: {error}")
    if not isinstance(error, ClientError):
        return Unavailable(f"The object store does not answer: {error}", code="storage_unavailable")
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchUpload":
        return MissingUpload(f"The store has no such upload for {key}.")
    if code in _MISSING or (status == 404 and code != "NoSuchBucket"):
        return MissingObject(f"There is no object {key}.")
    if code in _BUSY or status >= 500 or status == 429:
        return Unavailable(f"The object store cannot serve now ({code}).", code="storage_unavailable")
    return StorageRefused(f"The object store refused ({code}): {error.response.get('Error', {}).get('Message', '')}", code=code or None)
