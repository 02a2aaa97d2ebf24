"""The OpenAPI 3.1 document: what FastAPI derives from the routes, with our errors in place of its own.

Every operation may answer with a problem document, so that is said once for each as `default`, and exactly for the statuses
that follow from its shape: a key is needed (401), a body or parameters can be wrong (400, 422), something named may not exist
(404), and so on.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from web.body_limit import UPLOADS
from web.problems import MEDIA_TYPE, FieldProblem, Problem
from web.resources import ASSET_EXAMPLE

_TEXTS = {
    "400": "The request cannot be understood.",
    "401": "No API key, or a wrong one.",
    "403": "Not allowed.",
    "404": "No such thing.",
    "405": "The method is not possible here.",
    "408": "The body fell silent.",
    "409": "Not in its present state.",
    "410": "The upload has ended.",
    "412": "Changed meanwhile (If-Match); for uploads, another tus version.",
    "413": "The body is too large.",
    "415": "Another content type is needed.",
    "422": "The input does not fit; `errors` says where.",
    "423": "Another request is sending to this upload; repeat after Retry-After seconds.",
    "429": "Too many requests, or too much unfinished; repeat after Retry-After seconds.",
    "431": "The headers are too large.",
    "460": "The body does not have the digest that Upload-Checksum names.",
    "503": "A dependency is away; repeat after Retry-After seconds.",
}
_OF_TUS = frozenset({"405", "408", "409", "410", "412", "413", "415", "423", "460"})  # whatever the method: a header may override it
_OPERATIONS = ("get", "put", "post", "delete", "patch", "head", "options")
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and request within 24 hours get the same reply; another request under the key gets 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def _statuses(method: str, path: str, operation: dict[str, Any]) -> set[str]:
    statuses = {"400", "431", "503"}
    if path.startswith("/v1/"):
        statuses.add("429")
    if path.startswith(UPLOADS):
        statuses |= _OF_TUS
    if operation.get("security"):
        statuses |= {"401", "403"}
    if "{" in path:
        statuses.add("404")
    if operation.get("parameters") or operation.get("requestBody") or method == "post":
        statuses.add("422")
    if "requestBody" in operation:
        statuses.add("413")
    if method in ("post", "patch", "delete"):
        statuses.add("409")
    if any(parameter["name"].lower() == "if-match" for parameter in operation.get("parameters", ())):
        statuses.add("412")
    return statuses


def _with_problems(method: str, path: str, operation: dict[str, Any]) -> None:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses = operation.setdefault("responses", {})
    responses.pop("422", None)  # FastAPI's own form, which we never send
    for status in sorted(_statuses(method, path, operation)):
        responses.setdefault(status, {"description": _TEXTS[status], "content": content})
    responses["default"] = {"description": "Any other error.", "content": content}


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, built once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            openapi_version="3.1.0",
            servers=app.servers,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["AssetResource"]["examples"] = [ASSET_EXAMPLE]  # FastAPI drops the fields that are null
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization", by_alias=True)
        problem.pop("$defs", None)
        schemas["Problem"] = problem
        schemas["FieldProblem"] = FieldProblem.model_json_schema(mode="serialization", by_alias=True)
        for path, item in document["paths"].items():
            for method in _OPERATIONS:
                if method in item:
                    if method == "post" and path.startswith("/v1/"):
                        item[method].setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
                    _with_problems(method, path, item[method])
        app.openapi_schema = document
    return app.openapi_schema
