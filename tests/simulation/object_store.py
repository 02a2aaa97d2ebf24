"""An object store that fails, delays and cuts. An object is its size and its digest; nothing is read but these.

A write that fails may leave a part of the object where nothing was (a disk that has no rename), and never harms what was whole there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kit.errors import Unavailable
from tests.simulation.agenda import Life
from tests.simulation.chance import Chance
from tests.simulation.memory import Clock

Content = tuple[int, str]  # size in bytes, digest


@dataclass
class ObjectStore:
    chance: Chance
    clock: Clock
    faulty: Callable[[], bool]
    objects: dict[str, Content] = field(default_factory=dict)
    changed: Callable[[str], None] = lambda _: None

    def put(self, key: str, content: Content) -> Life:
        """With the time that it takes. Raises Unavailable."""
        yield self._latency_s()
        self.put_now(key, content)

    def put_now(self, key: str, content: Content) -> None:
        rates = self.chance.rates
        if self.faulty():
            if self.chance.happens(rates.store_fails):
                raise Unavailable("The object store does not answer.", code="storage_unavailable")
            if self.chance.happens(rates.store_cuts):
                if key not in self.objects:
                    self._set(key, (content[0] // 2, "cut"))
                raise Unavailable("The object store broke off.", code="storage_unavailable")
            if self.chance.happens(rates.store_late):
                self._set(key, content)
                raise Unavailable("The object store did not answer in time.", code="storage_unavailable")
        self._set(key, content)

    def read(self) -> Life:
        """The time, and the faults, of looking something up."""
        yield self._latency_s()
        if self.faulty() and self.chance.happens(self.chance.rates.store_fails):
            raise Unavailable("The object store does not answer.", code="storage_unavailable")

    def sizes(self, prefix: str) -> dict[str, int]:
        return {key: content[0] for key, content in self.objects.items() if key.startswith(prefix)}

    def below(self, prefix: str) -> Iterator[str]:
        return iter([key for key in self.objects if key.startswith(prefix)])

    def delete(self, key: str) -> None:
        if self.objects.pop(key, None) is not None:
            self.changed(key)

    def _set(self, key: str, content: Content) -> None:
        self.objects[key] = content
        self.changed(key)

    def _latency_s(self) -> float:
        if self.faulty() and self.chance.happens(self.chance.rates.slow):
            return self.chance.roll.uniform(1, 60)
        return self.chance.roll.uniform(0.01, 0.2)
