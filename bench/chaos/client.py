"""A client that does not give up: it sends a file by tus or PUT, resumes after every trouble, and knows what was acknowledged.

An upload is acknowledged when the server has said that it has all of its bytes; from then on losing it is the server's fault.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, replace

import httpx

from bench.chaos.clips import Clip

_TUS = {"Tus-Resumable": "1.0.0"}
_PAUSE_S = 0.4
_LATER = {404: False, 410: False, 409: True, 423: True, 408: True, 429: True}  # whether asking again may help; 5xx: always


class Hopeless(Exception):
    """The server says no for good."""


@dataclass(frozen=True, slots=True)
class Order:
    """One upload to be made. `key` is unique: it is the asset's external id."""

    key: str
    clip: Clip
    way: str  # tus, put
    fate: str  # keep, cancel (in the middle of the upload), delete (some time after it)
    pieces: int
    roll: float  # 0 to 1

    @property
    def piece_bytes(self) -> int:
        return -(-self.clip.size_bytes // self.pieces)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of an order, as its client knows it."""

    order: Order
    asset_id: str = ""
    acknowledged: bool = False
    ended: bool = False  # cancelled or deleted, and told so
    troubles: int = 0  # requests that were not answered, or with "not now"
    bugs: tuple[str, ...] = ()  # answers that say that something unforeseen happened: status 500
    refused: str = ""  # why it could not be carried out


FATES = {"keep": 8, "cancel": 1, "delete": 2}  # and how often


def order(seed: int, number: int, clips: tuple[Clip, ...], fates: tuple[str, ...] = tuple(FATES)) -> Order:
    """Pure."""
    dice = random.Random(f"{seed}/{number}")
    fate = dice.choices(fates, [FATES[fate] for fate in fates])[0]
    way = "tus" if fate == "cancel" else dice.choices(["tus", "put"], [3, 1])[0]
    return Order(f"{seed}-{number}", clips[number % len(clips)], way, fate, dice.randint(2, 6), dice.random())


class Client:
    """Use from one thread. `stop` ends its waiting: what is unfinished by then stays so."""

    def __init__(self, url: str, key: str, stop: threading.Event) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=20.0, trust_env=False)
        self._stop = stop
        self._troubles = 0
        self._bugs: list[str] = []

    def close(self) -> None:
        self._http.close()

    def carry_out(self, order: Order) -> Sent:
        self._troubles, self._bugs = 0, []
        sent = Sent(order)
        try:
            made = self._create(order)
            sent = replace(sent, asset_id=made["asset_id"])
            if order.fate == "cancel":
                self._send(order, made["url"], pieces=max(1, order.pieces // 2))
                self._end("DELETE", made["url"])
                return self._with_troubles(replace(sent, ended=True))
            (self._send if order.way == "tus" else self._put)(order, made["url"])
            sent = replace(sent, acknowledged=True)
            if order.fate == "delete":
                self._stop.wait(order.roll * 8)
                self._end("DELETE", f"/v1/assets/{made['asset_id']}")
                sent = replace(sent, ended=True)
        except Hopeless as refusal:
            sent = replace(sent, refused=str(refusal))
        return self._with_troubles(sent)

    def _with_troubles(self, sent: Sent) -> Sent:
        return replace(sent, troubles=self._troubles, bugs=tuple(self._bugs))

    def _ask(self, method: str, url: str, **arguments: object) -> httpx.Response | None:
        """The answer, or None when there was none that says anything. Raises Hopeless."""
        try:
            answer = self._http.request(method, url, **arguments)  # type: ignore[arg-type]
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.is_success:
            return answer
        if answer is not None and answer.status_code < 500 and not _LATER.get(answer.status_code, False):
            raise Hopeless(f"{method} was answered {answer.status_code}: {answer.text[:300]}")
        self._troubles += 1
        if answer is not None and answer.status_code == 500:
            self._bugs.append(f"{method} was answered 500: {answer.text[:200]}")
        if self._stop.is_set():
            raise Hopeless(f"{method} had not succeeded when the run ended: {'no answer' if answer is None else answer.text[:300]}")
        time.sleep(_PAUSE_S)
        return None

    def _create(self, order: Order) -> dict[str, str]:
        body = {"title": order.clip.name, "external_id": order.key, "size": order.clip.size_bytes}
        while True:
            answer = self._ask("POST", "/v1/uploads", json=body, headers={"Idempotency-Key": f"chaos-{order.key}"})
            if answer is not None:
                return dict(answer.json())

    def _send(self, order: Order, url: str, pieces: int | None = None) -> None:
        """By tus: the offset is asked for after every trouble."""
        data, offset, known = order.clip.path.read_bytes(), 0, True
        goal = order.clip.size_bytes if pieces is None else min(order.clip.size_bytes, pieces * order.piece_bytes)
        while offset < goal:
            if not known:
                answer = self._ask("HEAD", url, headers=_TUS)
            else:
                headers = _TUS | {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
                answer = self._ask("PATCH", url, headers=headers, content=data[offset : offset + order.piece_bytes])
            known = answer is not None
            if answer is not None:
                offset = int(answer.headers["Upload-Offset"])

    def _put(self, order: Order, url: str) -> None:
        """In one request; when that is not answered, the offset says whether all has arrived."""
        data = order.clip.path.read_bytes()
        while True:
            answer = self._ask("HEAD", url, headers=_TUS)
            if answer is not None and int(answer.headers["Upload-Offset"]) == len(data):
                return
            if answer is not None and self._ask("PUT", url, content=data) is not None:
                return

    def _end(self, method: str, url: str) -> None:
        """Until it is gone, by this request or by one before whose answer was lost."""
        while True:
            try:
                if self._ask(method, url, headers=_TUS) is not None:
                    return
            except Hopeless as refusal:
                if "answered 404" in str(refusal) or "answered 410" in str(refusal):
                    return
                raise
