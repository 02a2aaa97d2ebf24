"""docs/api.md says what is true: its routes are those of the OpenAPI document, its examples work, its codes are the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.api_client import Api
from web.problem_codes import PROBLEMS, table

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "api.md").read_text(encoding="utf-8")
METHODS = ("get", "post", "put", "patch", "delete", "head", "options")

# Where the errors of HTTP replies are made. Errors of background steps never reach a client this way.
HTTP_SOURCES = ("web/*.py", "accounts/*.py", "catalog/asset.py", "catalog/store.py", "ingest/api.py", "ingest/tus.py", "ingest/upload.py",
                "ingest/sessions.py", "ingest/receive.py", "ingest/address.py", "ingest/details.py", "ingest/writer.py",
                "captions/api.py", "captions/reading.py", "catalog/track_store.py", "recommend/intake.py")  # fmt: skip
SPELLED_OTHERWISE = {"upload_cancelled", "upload_errored"}  # made from an upload's state
ABSTRACT = {"upload_gone"}  # the parent of the errors that carry codes of their own


def text_of(path: Path) -> str:
    """A source file; nothing for the table itself."""
    return "" if path.name == "problem_codes.py" else path.read_text(encoding="utf-8")


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/v1/openapi.json", signed=False).json()
    return found


def test_every_route_is_documented_and_no_other(document: dict[str, Any]) -> None:
    written = set(re.findall(r"^\| `((?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) /[^`]*)` \|", PAGE, re.MULTILINE))
    served = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in METHODS if method in item}
    assert written == served


def examples() -> list[tuple[str, str, dict[str, str], Any]]:
    """Method, target, headers and JSON body of each ```http block."""
    found = []
    for block in re.findall(r"```http\n(.*?)```", PAGE, re.DOTALL):
        head, _, body = block.partition("\n\n")
        request, *lines = head.strip().splitlines()
        method, target = request.split(" ", 1)
        headers = dict(line.split(": ", 1) for line in lines)
        found.append((method, target, headers, json.loads(body) if body.strip() else None))
    return found


def test_every_example_works(api: Api) -> None:
    asset_id = ""
    assert len(examples()) >= 8
    for method, target, headers, body in examples():
        reply = api.send(method, target.replace("{asset_id}", asset_id), headers=headers, json=body)
        assert reply.status_code < 300, (method, target, reply.text)
        if target == "/v1/assets" and method == "POST":
            asset_id = reply.json()["id"]
        if method == "GET" and target.startswith("/v1/assets"):
            assert [asset["id"] for asset in reply.json()["data"]] == [asset_id]


def test_the_table_of_codes_is_the_code() -> None:
    assert PAGE.endswith(table())


def test_every_code_that_a_reply_can_carry_is_in_the_table_and_no_other() -> None:
    replies = "\n".join(text_of(path) for pattern in HTTP_SOURCES for path in sorted(TOP.glob(pattern)))
    made = set(re.findall(r'(?:\bcode ?=|status, code(?:, retry)? = \d+,|Failure\(\d+,) ?"([a-z_]+)"', replies)) - ABSTRACT
    assert made - set(PROBLEMS) == set()
    rooms = ("web", "accounts", "catalog", "captions", "ingest", "kit", "origin", "recommend")
    everything = "\n".join(text_of(path) for room in rooms for path in sorted((TOP / room).rglob("*.py")))
    mentioned = set(re.findall(r'"([a-z_]+)"', everything)) | SPELLED_OTHERWISE
    assert set(PROBLEMS) - mentioned == set()


def test_the_document_is_whole(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    names: list[str] = []
    for path, item in document["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            operation = item[method]
            names.append(operation["operationId"])
            assert operation.get("summary"), (method, path)
            assert operation["responses"]["default"]["content"]["application/problem+json"]
            if path.startswith("/v1/") and method == "post":
                assert any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"]), path
    assert len(names) == len(set(names))
    text = json.dumps(document)
    references = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', text))
    assert references <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in text
    for name in ("AssetResource", "NewImport", "AssetChanges", "Problem", "NewUpload", "NewKey"):
        assert document["components"]["schemas"][name].get("examples"), name


def test_an_example_asset_is_a_valid_one(document: dict[str, Any]) -> None:
    from web.resources import AssetResource

    (example,) = document["components"]["schemas"]["AssetResource"]["examples"]
    assert AssetResource.model_validate(example).model_dump(mode="json") == example
