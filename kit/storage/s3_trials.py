"""Requests that Headwater itself never makes, to find out what an S3 server does with them. For `headwater doctor storage`."""

from __future__ import annotations

import base64
from typing import Any

from kit.storage.s3 import S3Storage


def put(
    storage: S3Storage, key: str, data: bytes, *, md5: bytes | None = None, sha256: bytes | None = None, only_if_absent: bool = False
) -> None:
    """Store an object with the digests that are claimed for it, or only where there is none (RFC 9110 section 13.1.2).

    Raises StorageRefused with the server's code, and Unavailable where it knows no such request.
    """
    more: dict[str, Any] = {}
    if md5 is not None:
        more["ContentMD5"] = base64.b64encode(md5).decode()
    if sha256 is not None:
        more["ChecksumSHA256"] = base64.b64encode(sha256).decode()
    if only_if_absent:
        more["IfNoneMatch"] = "*"
    storage._call("try_put", storage._client.put_object, Key=key, Body=data, **more)
