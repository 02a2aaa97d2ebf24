"""OPTIONS, and what the server says about itself in its answer."""

from __future__ import annotations

import re

import httpx

from tus_conformance.chapter import Chapter
from tus_conformance.target import VERSION, Skipped, Target, expect, expect_status, number

cases = Chapter("options", "Core protocol, OPTIONS")

KNOWN = (
    "creation", "creation-defer-length", "creation-with-upload", "expiration", "checksum", "checksum-trailer", "termination",
    "concatenation", "concatenation-unfinished",
)  # fmt: skip


def ask(tus: Target, headers: dict[str, str] | None = None) -> httpx.Response:
    return tus.send("OPTIONS", tus.url, headers or {}, version=None)


@cases.must("answers")
def _(tus: Target) -> None:
    """A successful answer has the status 204 or 200."""
    expect_status(ask(tus), 200, 204)


@cases.must("version-list")
def _(tus: Target) -> None:
    """The answer has Tus-Version, and 1.0.0 is in it."""
    said = ask(tus).headers.get("tus-version", "")
    expect(VERSION in [item.strip() for item in said.split(",")], f"Tus-Version is {said!r}")


@cases.must("version-list-form", clause="Headers, Tus-Version")
def _(tus: Target) -> None:
    """Tus-Version is a comma-separated list of versions."""
    said = ask(tus).headers.get("tus-version", "")
    expect(all(re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", item.strip()) for item in said.split(",")), f"Tus-Version is {said!r}")


@cases.must("ignores-version")
def _(tus: Target) -> None:
    """The Tus-Resumable of an OPTIONS request is ignored, even one of another version."""
    answer = ask(tus, {"Tus-Resumable": "0.0.1"})
    expect_status(answer, 200, 204)
    expect(answer.headers.get("tus-version"), "Tus-Version is missing")


@cases.must("extension-list-form", clause="Headers, Tus-Extension")
def _(tus: Target) -> None:
    """Tus-Extension, when there is one, is a comma-separated list of names."""
    said = ask(tus).headers.get("tus-extension")
    if said is None:
        raise Skipped("the server announces no extension")
    expect(said.strip(), "Tus-Extension is empty: without extensions it must be left out")
    expect(all(re.fullmatch(r"[a-z][a-z0-9-]*", item.strip()) for item in said.split(",")), f"Tus-Extension is {said!r}")


@cases.should("extensions-once", clause="Headers, Tus-Extension")
def _(tus: Target) -> None:
    """No extension is announced twice."""
    said = [item.strip() for item in ask(tus).headers.get("tus-extension", "").split(",")]
    expect(len(said) == len(set(said)), f"Tus-Extension is {said}")


@cases.should("extensions-build-on-their-base", clause="Protocol extensions")
def _(tus: Target) -> None:
    """An extension of an extension is announced together with what it builds on."""
    found = tus.capabilities.extensions
    for name in KNOWN:
        base = name.partition("-")[0]
        expect(name not in found or base in found, f"{name} is announced without {base}")


@cases.must("max-size-form", clause="Headers, Tus-Max-Size")
def _(tus: Target) -> None:
    """Tus-Max-Size, when there is one, is a non-negative integer."""
    said = ask(tus).headers.get("tus-max-size")
    if said is None:
        raise Skipped("the server announces no Tus-Max-Size")
    number(said, "Tus-Max-Size")


@cases.must("algorithms", needs={"checksum"}, clause="Checksum, Tus-Checksum-Algorithm")
def _(tus: Target) -> None:
    """A server with checksums lists its algorithms in Tus-Checksum-Algorithm."""
    expect(ask(tus).headers.get("tus-checksum-algorithm", "").strip(), "Tus-Checksum-Algorithm is missing")


@cases.must("algorithm-names", needs={"checksum"}, clause="Checksum, Tus-Checksum-Algorithm")
def _(tus: Target) -> None:
    """Names of algorithms are ASCII without upper-case letters."""
    for name in tus.capabilities.algorithms:
        expect(name.isascii() and name == name.lower() and " " not in name, f"an algorithm is called {name!r}")


@cases.must("sha1", needs={"checksum"}, clause="Checksum")
def _(tus: Target) -> None:
    """sha1 is among the algorithms."""
    expect("sha1" in tus.capabilities.algorithms, f"the algorithms are {tus.capabilities.algorithms}")


@cases.should("of-an-upload", needs={"creation"})
def _(tus: Target) -> None:
    """An upload's own URL answers OPTIONS as well."""
    answer = tus.send("OPTIONS", tus.create(3), {}, version=None)
    expect_status(answer, 200, 204)
    expect(answer.headers.get("tus-version"), "Tus-Version is missing")


@cases.should("no-body")
def _(tus: Target) -> None:
    """An answer of status 204 has no body and no length of one (RFC 9110 section 8.6)."""
    answer = ask(tus)
    if answer.status_code == 204:
        expect(not answer.content and "content-length" not in answer.headers, "a 204 came with a body or a Content-Length")


@cases.must("needs-no-length")
def _(tus: Target) -> None:
    """The answer is the same whether or not the request says that it has no body."""
    expect(ask(tus, {"Content-Length": "0"}).status_code == ask(tus).status_code, "Content-Length: 0 changes the answer")
