"""Every error as `application/problem+json` (RFC 9457), with a code that is documented and a request id that is in the log.

`PROBLEMS` is the list of all codes that an HTTP reply can carry. `type` is the address of a code's own entry
(`/v1/problems/{code}`), which this server answers; a test holds the table, the code base and docs/api.md together.
The codes of `asset.error` (why a source was refused) are another list: `ingest.checks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from kit.errors import HeadwaterError
from web.problem_codes import PROBLEMS

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One thing that is wrong with the input."""

    detail: str
    code: str = Field(description="What kind of fault it is, stable.", examples=["string_too_long"])
    where: str = Field(description="body, query, path or header.", examples=["body"], serialization_alias="in", validation_alias="in")
    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, or `#/name` of a parameter.", examples=["#/title"])


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "http://127.0.0.1:8080/v1/problems/asset_not_found",
                    "title": "No such asset",
                    "status": 404,
                    "detail": "There is no asset ast_01m3g6p8dw0000000000000000.",
                    "code": "asset_not_found",
                    "request_id": "req_7h2kq9vw3m1x5tz8c4pd",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldProblem] | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it will be told."""

    status: int
    code: str
    detail: str
    errors: tuple[Mapping[str, str], ...] = ()
    headers: Mapping[str, str] | None = None


class ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE


def request_id(scope: Scope) -> str:
    """The id that `web.envelope` gave to the request."""
    state = scope.get("state", {})
    return str(getattr(state, "request_id", "") if isinstance(state, State) else state.get("request_id", ""))


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"


def body_of(failure: Failure, base_url: str, request_id: str) -> dict[str, Any]:
    """The problem document. Pure."""
    known = PROBLEMS.get(failure.code)
    body: dict[str, Any] = {
        "type": f"{base_url}/v1/problems/{failure.code}" if known else "about:blank",
        "title": known.title if known else _phrase(failure.status),
        "status": failure.status,
        "detail": failure.detail,
        "code": failure.code,
        "request_id": request_id,
    }
    return body | ({"errors": list(failure.errors)} if failure.errors else {})


def response_of(failure: Failure, scope: Scope, base_url: str) -> ProblemResponse:
    headers = {"Cache-Control": "no-store", **(failure.headers or {})}
    if failure.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="headwater"'
    if failure.status == 503:
        headers.setdefault("Retry-After", "2")
    if failure.status == 429:
        headers.setdefault("Retry-After", "10")
    # The envelope logs it: the reply itself says only what a stranger may know.
    scope.setdefault("state", {})["problem"] = f"{failure.code}: {failure.detail}"
    return ProblemResponse(body_of(failure, base_url, request_id(scope)), status_code=failure.status, headers=headers)


def of_error(error: HeadwaterError) -> Failure:
    later = None if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return Failure(error.status, error.code, error.detail, headers=later)


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_BY_STATUS = {
    400: ("bad_request", "The request cannot be understood."),
    404: ("no_route", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not know that method."),
    413: ("body_too_large", "The request body is larger than this address takes."),
    415: ("unsupported_media_type", "This address does not take that content type."),
}


def of_http(error: HTTPException) -> Failure:
    """What the framework itself refuses."""
    code, detail = _BY_STATUS.get(error.status_code, ("http_error", str(error.detail)))
    return Failure(error.status_code, code, detail, headers=error.headers)


def pointer(path: Sequence[str | int]) -> str:
    """RFC 6901, as a URI fragment."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def of_validation(errors: Sequence[Mapping[str, Any]]) -> Failure:
    """Input that does not fit, one entry for each fault."""
    if any(error["type"] == "json_invalid" for error in errors):
        return Failure(400, "malformed_json", "The request body is not valid JSON.")
    told = tuple(
        {"detail": str(error["msg"]), "code": str(error["type"]), "in": str(error["loc"][0]), "pointer": pointer(error["loc"][1:])}
        for error in errors
    )
    first = told[0]
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    name = first["pointer"].removeprefix("#/") or "body"
    return Failure(422, "validation_failed", f"{name}: {first['detail']}{more}", errors=told)


def allowed_methods(app: FastAPI, scope: Scope) -> list[str]:
    """The methods that some route knows at the path of `scope`: the framework names those of the first route only."""
    asked = {**scope, "path": scope["path"], "path_params": {}, "root_path": ""}
    return [method for method in METHODS if any(route.matches({**asked, "method": method})[0] is Match.FULL for route in app.router.routes)]


def install(app: FastAPI, base_url: str) -> None:
    """Answer every error of `app` with a problem document."""

    async def expected(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, HeadwaterError)
        return response_of(of_error(error), request.scope, base_url)

    async def refused(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, HTTPException)
        failure = of_http(error)
        if error.status_code == 405:
            failure = replace(failure, headers={"Allow": ", ".join(allowed_methods(app, request.scope))})
        return response_of(failure, request.scope, base_url)

    async def invalid(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, RequestValidationError)
        return response_of(of_validation(error.errors()), request.scope, base_url)

    app.add_exception_handler(HeadwaterError, expected)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
