"""The address of an upload, which is also the permission to send to it: no API key is needed beside it.

The token is a signature of the upload's id, so it says nothing, fits one upload only, and cannot be made without the secret.
How long it is good for is not in it: it dies with the upload (`ingest.upload.check_open`).
"""

from __future__ import annotations

import hashlib

from itsdangerous import Signer

from kit.errors import NotFound
from media.ids import UploadId

PREFIX = "/v1/tus"


def _signer(secret_key: str) -> Signer:
    return Signer(secret_key, salt="headwater.upload", digest_method=hashlib.sha256)


def path_of(secret_key: str, upload_id: UploadId) -> str:
    """Path of the address, from the root of the site."""
    return f"{PREFIX}/{upload_id}/{_signer(secret_key).get_signature(upload_id.encode()).decode()}"


def check(secret_key: str, upload_id: str, token: str) -> UploadId:
    """The upload's id, when `token` is its own. Raises NotFound: a wrong token says nothing about whether the upload exists."""
    if not _signer(secret_key).verify_signature(upload_id.encode(), token.encode()):
        raise NotFound("There is no upload at this address.", code="upload_not_found")
    return UploadId(upload_id)
