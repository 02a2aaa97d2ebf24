"""The parameter that most routes share, and the refusal of query parameters that a route does not know, so that a misspelt filter is an
error and not a longer list."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

AssetPath = Annotated[str, Path(description="ast_…", max_length=64)]


def known_parameters(dependant: Dependant) -> frozenset[str]:
    """The query parameters that a route declares, those of its dependencies included."""
    own = frozenset(field.alias for field in dependant.query_params)
    return own.union(*(known_parameters(part) for part in dependant.dependencies))


def refuse_unknown(request: Request) -> None:
    """A dependency for whole routers. Raises a validation error that names each unknown parameter."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    unknown = sorted(set(request.query_params) - known_parameters(route.dependant))
    if unknown:
        raise RequestValidationError(
            [{"type": "unknown_parameter", "loc": ("query", name), "msg": "There is no such parameter.", "input": name} for name in unknown]
        )
