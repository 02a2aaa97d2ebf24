"""Frozen values to JSON and back, unchanged: `MediaInfo` and `EncodePlan` as they are stored in the database.

A dataclass becomes an object with its field names, a tuple a list, a `Fraction` the string "num/den" (never a float: the
timeline is exact). Reading is driven by the field types, so a value of another shape is refused rather than half read.
A key that a field does not name is skipped, and a missing key takes the field's default, so that an additive change of a
type does not strand stored rows.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Any, Literal, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from media.info import MediaInfo
from media.plan import EncodePlan

T = TypeVar("T")


class Malformed(ValueError):
    """Stored JSON does not have the shape of its type."""


def to_json(value: Any) -> Any:
    """Plain JSON of a value made of dataclasses, tuples, fractions and JSON scalars. Raises TypeError for anything else."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {item.name: to_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form here")


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _fraction(data: Any, where: str) -> Fraction:
    if not isinstance(data, str) or "/" not in data:
        raise Malformed(f'{where} must be a fraction like "24/1", not {data!r}')
    try:
        return Fraction(data)
    except (ValueError, ZeroDivisionError) as error:
        raise Malformed(f"{where} is not a fraction: {data!r}") from error


def _dataclass(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise Malformed(f"{where} must be an object")
    values: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        if item.name in data:
            values[item.name] = _read(_hints(kind)[item.name], data[item.name], f"{where}.{item.name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise Malformed(f"{where}.{item.name} is missing")
    return kind(**values)


def _scalar(kind: type, data: Any, where: str) -> Any:
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)  # JSON does not keep the difference between 1 and 1.0
    if type(data) is not kind:
        raise Malformed(f"{where} must be {kind.__name__}, not {data!r}")
    return data


def _read(kind: Any, data: Any, where: str) -> Any:
    if isinstance(kind, NewType):
        return _read(kind.__supertype__, data, where)
    if kind is Fraction:
        return _fraction(data, where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, data, where)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        if data not in args:
            raise Malformed(f"{where} must be one of {args}, not {data!r}")
        return data
    if origin in (Union, types.UnionType):
        (inner,) = (arg for arg in args if arg is not type(None))
        return None if data is None else _read(inner, data, where)
    if origin is tuple and args[1:] == (Ellipsis,):
        if not isinstance(data, list | tuple):
            raise Malformed(f"{where} must be a list")
        return tuple(_read(args[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    return _scalar(kind, data, where)


def from_json(kind: type[T], data: Any) -> T:
    """The value of type `kind` that `to_json` turned into `data`. Raises Malformed."""
    return cast(T, _read(kind, data, kind.__name__))


def info_to_json(info: MediaInfo) -> dict[str, Any]:
    return cast(dict[str, Any], to_json(info))


def info_from_json(data: Mapping[str, Any]) -> MediaInfo:
    """Raises Malformed."""
    return from_json(MediaInfo, data)


def plan_to_json(plan: EncodePlan) -> dict[str, Any]:
    return cast(dict[str, Any], to_json(plan))


def plan_from_json(data: Mapping[str, Any]) -> EncodePlan:
    """Raises Malformed. Plans of before there could be several tracks of sound have one, or none, instead of a list."""
    sound = data.get("audio", ())
    tracks = [] if sound is None else [sound] if isinstance(sound, Mapping) else sound
    return from_json(EncodePlan, {**data, "audio": tracks})
