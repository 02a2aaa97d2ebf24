"""Refuses query parameters that a route does not know, so that a misspelt filter is an error and not a longer list."""

from __future__ import annotations

from functools import cache

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute


def _declared(dependant: Dependant) -> frozenset[str]:
    own = frozenset(field.alias for field in dependant.query_params)
    return own.union(*(_declared(part) for part in dependant.dependencies))


@cache
def known_parameters(route: APIRoute) -> frozenset[str]:
    """The query parameters that `route` declares, its dependencies included."""
    return _declared(route.dependant)


def refuse_unknown(request: Request) -> None:
    """A dependency for whole routers. Raises a validation error that names each unknown parameter."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    unknown = sorted(set(request.query_params) - known_parameters(route))
    if unknown:
        raise RequestValidationError(
            [{"type": "unknown_parameter", "loc": ("query", name), "msg": "There is no such parameter.", "input": name} for name in unknown]
        )
