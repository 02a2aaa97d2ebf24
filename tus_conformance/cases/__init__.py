"""All cases, chapter by chapter, in the order of the protocol."""

from tus_conformance.cases import (
    broken,
    checksum,
    concatenation,
    core,
    creation,
    defer,
    expiration,
    metadata,
    options,
    patch,
    races,
    termination,
    trailer,
    with_upload,
)
from tus_conformance.chapter import Case

_CHAPTERS = (
    options, core, patch, creation, metadata, defer, with_upload, checksum, trailer, expiration, termination, concatenation, broken, races,
)  # fmt: skip

CASES: tuple[Case, ...] = tuple(case for chapter in _CHAPTERS for case in chapter.cases.cases)
