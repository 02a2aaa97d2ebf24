"""The chaos run in its short form (`make chaos` is the long one): every part of a whole stack is hit once while titles arrive (O5)."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bench.chaos import run
from bench.chaos.faults import Target
from bench.chaos.processes import of_folder, table
from bench.chaos.proxy import SlowProxy
from bench.chaos.report import as_text
from stack import servers

EVERYBODY = len(Target) - 1  # each is hit once before anybody is hit twice


@pytest.mark.timeout(1500)  # it waits for conditions; each of these waits has a limit of its own
def test_every_part_is_hit_and_nothing_is_lost(tmp_path: Path) -> None:
    plan = run.Plan(seed=1, kills=EVERYBODY, limit_s=300, pause_s=1.0, clients=2, fates=("keep",), kinds=("film", "silent", "early"))
    (tmp_path / "chaos").mkdir()
    report = run.run(tmp_path / "chaos", plan, lambda _: None)
    assert report["findings"] == [], as_text(report)
    assert report["kills"] > 0
    assert report["uploads"]["acknowledged"] > 0
    assert of_folder(table(), tmp_path) == []


ANSWER = b"x" * 200_000


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def answering(port: int) -> Iterator[None]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_proxy_passes_everything_on_slow_or_not() -> None:
    own, through = servers.free_ports(2)
    proxy = SlowProxy(through, own)
    address = f"http://127.0.0.1:{through}/"
    try:
        with answering(own):
            for proxy.delay_s in (0.0, 0.01):
                assert httpx.get(address, trust_env=False, timeout=60).content == ANSWER
        with pytest.raises(httpx.TransportError):  # whoever is behind it is gone, and that is told
            httpx.get(address, trust_env=False, timeout=60)
    finally:
        proxy.stop()
