"""AES, and how a small secret is kept in the database. The only module that imports the cipher library.

Sealing: AES-256-GCM under a key that HKDF (RFC 5869, SHA-256) derives from the instance's secret key, with a random nonce in front and
what the secret belongs to as associated data, so a sealed value that is copied to another row does not open. Who loses the instance's
secret key loses what was sealed under it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from Crypto.Util.Padding import pad, unpad

from kit import ids
from kit.errors import HeadwaterError

BLOCK_BYTES = 16
_NONCE_BYTES, _TAG_BYTES = 12, 16

Blocks = Callable[[bytes], bytes]
"""Turns whole blocks into as many others."""


class NotSealedHere(HeadwaterError):
    """The sealed value was changed, belongs to something else, or was sealed under another secret key."""

    status = 503
    code = "key_unavailable"


def cbc_encrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """AES-CBC with the padding of PKCS #7 (RFC 5652 section 6.3): one to sixteen bytes longer than `data`."""
    return bytes(AES.new(key, AES.MODE_CBC, iv=iv).encrypt(pad(data, BLOCK_BYTES)))


def cbc_decrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Raises ValueError when the padding is wrong, which a wrong key nearly always shows as."""
    return bytes(unpad(AES.new(key, AES.MODE_CBC, iv=iv).decrypt(data), BLOCK_BYTES))


def cbc_encryptor(key: bytes, iv: bytes) -> Blocks:
    """One chain of blocks, which may be given in pieces. No padding."""
    cipher = AES.new(key, AES.MODE_CBC, iv=iv)
    return lambda data: bytes(cipher.encrypt(data))


def cbc_decryptor(key: bytes, iv: bytes) -> Blocks:
    """The way back."""
    cipher = AES.new(key, AES.MODE_CBC, iv=iv)
    return lambda data: bytes(cipher.decrypt(data))


def seal(secret_key: str, data: bytes, belongs_to: str) -> str:
    """`data` as text that only `unseal` with the same secret key and owner can read."""
    nonce = ids.secret_bytes(_NONCE_BYTES)
    cipher = AES.new(_sealing_key(secret_key), AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
    cipher.update(belongs_to.encode())
    hidden, tag = cipher.encrypt_and_digest(data)
    return base64.b64encode(nonce + tag + hidden).decode()


def unseal(secret_key: str, sealed: str, belongs_to: str) -> bytes:
    """Raises NotSealedHere."""
    try:
        data = base64.b64decode(sealed, validate=True)
        nonce, tag, hidden = data[:_NONCE_BYTES], data[_NONCE_BYTES : _NONCE_BYTES + _TAG_BYTES], data[_NONCE_BYTES + _TAG_BYTES :]
        cipher = AES.new(_sealing_key(secret_key), AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
        cipher.update(belongs_to.encode())
        return bytes(cipher.decrypt_and_verify(hidden, tag))
    except (ValueError, binascii.Error) as error:
        raise NotSealedHere("A stored key cannot be opened with this instance's HEADWATER_SECRET_KEY.") from error


def _sealing_key(secret_key: str) -> bytes:
    derived = HKDF(secret_key.encode(), 32, b"headwater", SHA256, context=b"content keys")
    assert isinstance(derived, bytes)
    return derived
