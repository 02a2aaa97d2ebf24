"""/v1/problems: what each problem code means. Public, because `type` of every problem document points here."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from kit.errors import NotFound
from web.problem_codes import PROBLEMS


class ProblemDescription(BaseModel):
    code: str
    status: int
    title: str
    remedy: str


class ProblemList(BaseModel):
    data: list[ProblemDescription]
    next_cursor: None = None


def _description(code: str) -> ProblemDescription:
    kind = PROBLEMS[code]
    return ProblemDescription(code=code, status=kind.status, title=kind.title, remedy=kind.remedy)


def router() -> APIRouter:
    api = APIRouter(tags=["problems"])

    @api.get("/v1/problems")
    async def list_problems() -> ProblemList:
        """Every code that an error reply can carry."""
        return ProblemList(data=[_description(code) for code in PROBLEMS])

    @api.get("/v1/problems/{code}")
    async def get_problem(code: Annotated[str, Path(max_length=64)]) -> ProblemDescription:
        """One code."""
        if code not in PROBLEMS:
            raise NotFound("There is no such problem code.")
        return _description(code)

    return api
