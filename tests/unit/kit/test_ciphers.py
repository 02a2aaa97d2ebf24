"""Ciphers: the published vectors, the way back, and secrets that open only where they belong."""

from __future__ import annotations

import base64

import pytest

from kit import ciphers

# NIST SP 800-38A, F.2.1: CBC-AES128.Encrypt
KEY, IV = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), bytes(range(16))
CLEAR = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
HIDDEN = bytes.fromhex("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2")
SECRET = "a secret of thirty-two characters, or more"


def test_blocks_are_those_of_the_standard() -> None:
    assert ciphers.cbc_encryptor(KEY, IV)(CLEAR) == HIDDEN
    assert ciphers.cbc_decryptor(KEY, IV)(HIDDEN) == CLEAR
    encrypt = ciphers.cbc_encryptor(KEY, IV)
    assert encrypt(CLEAR[:16]) + encrypt(CLEAR[16:]) == HIDDEN  # one chain


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000])
def test_what_is_padded_comes_back(size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    hidden = ciphers.cbc_encrypt(KEY, IV, data)
    assert len(hidden) == size // 16 * 16 + 16
    assert ciphers.cbc_decrypt(KEY, IV, hidden) == data


def test_damage_and_other_keys_show() -> None:
    hidden = ciphers.cbc_encrypt(KEY, IV, bytes(64))
    for wrong in (hidden[:-1], hidden[:-16], b""):
        with pytest.raises(ValueError, match=r".+"):
            ciphers.cbc_decrypt(KEY, IV, wrong)
    with pytest.raises(ValueError, match=r".+"):
        ciphers.cbc_decrypt(IV, IV, hidden)


def test_a_sealed_secret_opens_where_it_belongs_and_nowhere_else() -> None:
    sealed = ciphers.seal(SECRET, KEY, "title")
    assert ciphers.unseal(SECRET, sealed, "title") == KEY
    assert ciphers.seal(SECRET, KEY, "title") != sealed
    data = bytearray(base64.b64decode(sealed))
    data[-1] ^= 1
    changed = base64.b64encode(data).decode()
    wrong = ((SECRET + "x", sealed, "title"), (SECRET, sealed, "other"), (SECRET, changed, "title"), (SECRET, "?", "title"))
    for secret, text, owner in wrong:
        with pytest.raises(ciphers.NotSealedHere):
            ciphers.unseal(secret, text, owner)
