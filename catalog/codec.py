"""Frozen values to JSON and back, unchanged: `MediaInfo` and `EncodePlan` as they are stored in the database.

A dataclass becomes an object with its field names, a tuple a list, a `Fraction` the string "num/den" (never a float: the
timeline is exact). Reading is driven by the field types, so a value of another shape is refused rather than half read.
A key that a field does not name is skipped, and a missing key takes the field's default, so that an additive change of a
type does not strand stored rows.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction
from functools import cache, partial
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


_Read = Callable[[Any], Any]  # raises _Wrong


class _Wrong(ValueError):
    """What is wrong, as the end of a sentence that begins with the place; `place` grows on the way out."""

    def __init__(self, said: str, place: str = "") -> None:
        super().__init__(said)
        self.said, self.place = said, place

    def inside(self, part: str) -> _Wrong:
        return _Wrong(self.said, part + self.place)


@cache
def _reader(kind: Any) -> _Read:
    """Made once for each type, because an hour's source map has tens of thousands of values, and a worker waits for them."""
    if isinstance(kind, NewType):
        return _reader(kind.__supertype__)
    if kind is Fraction:
        return _fraction
    if dataclasses.is_dataclass(kind):
        return _of_dataclass(kind)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return partial(_one_of, args)
    if origin in (Union, types.UnionType):
        (inner,) = (arg for arg in args if arg is not type(None))
        return partial(_unless_none, _reader(inner))
    if origin is tuple and args[1:] == (Ellipsis,):
        return _numbers if args[0] is int else partial(_items, _reader(args[0]))
    return partial(_scalar, kind)


def _fraction(data: Any) -> Fraction:
    if not isinstance(data, str) or "/" not in data:
        raise _Wrong(f'must be a fraction like "24/1", not {data!r}')
    try:
        return Fraction(data)
    except (ValueError, ZeroDivisionError) as error:
        raise _Wrong(f"is not a fraction: {data!r}") from error


def _of_dataclass(kind: Any) -> _Read:
    hints = get_type_hints(kind)
    fields = [(item.name, _reader(hints[item.name]), _needed(item)) for item in dataclasses.fields(kind)]

    def read(data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise _Wrong("must be an object")
        values: dict[str, Any] = {}
        for name, reader, needed in fields:
            if name in data:
                try:
                    values[name] = reader(data[name])
                except _Wrong as error:
                    raise error.inside(f".{name}") from error
            elif needed:
                raise _Wrong("is missing", f".{name}")
        return kind(**values)

    return read


def _needed(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _one_of(allowed: tuple[Any, ...], data: Any) -> Any:
    if data not in allowed:
        raise _Wrong(f"must be one of {allowed}, not {data!r}")
    return data


def _unless_none(inner: _Read, data: Any) -> Any:
    return None if data is None else inner(data)


def _numbers(data: Any) -> tuple[int, ...]:
    """What nearly all of a source map consists of, without a call for each."""
    if isinstance(data, list | tuple) and set(map(type, data)) <= {int}:
        return tuple(data)
    return _items(partial(_scalar, int), data)


def _items(reader: _Read, data: Any) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        raise _Wrong("must be a list")
    found: list[Any] = []
    try:
        found.extend(map(reader, data))
    except _Wrong as error:
        raise error.inside(f"[{len(found)}]") from error
    return tuple(found)


def _scalar(kind: type, data: Any) -> Any:
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)  # JSON does not keep the difference between 1 and 1.0
    if type(data) is not kind:
        raise _Wrong(f"must be {kind.__name__}, not {data!r}")
    return data


def from_json(kind: type[T], data: Any) -> T:
    """The value of type `kind` that `to_json` turned into `data`. Raises Malformed."""
    try:
        return cast(T, _reader(cast(Hashable, kind))(data))
    except _Wrong as error:
        raise Malformed(f"{kind.__name__}{error.place} {error.said}") from error


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
