"""A TCP proxy on loopback in front of the store, which can be told to be slow."""

from __future__ import annotations

import asyncio
import contextlib
import threading

_PIECE_BYTES = 64 << 10


class SlowProxy:
    """Starts listening at once, in a thread of its own."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port, self._target_port = port, target_port
        self.delay_s = 0.0  # before every piece of at most 64 KiB, in each direction; may be changed at any time
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slow proxy", daemon=True)
        self._thread.start()
        self._listening.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._listening.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            store, request = await asyncio.open_connection("127.0.0.1", self._target_port)
            # When either end is gone the other must learn it, as without a proxy.
            pumps = [asyncio.ensure_future(self._pump(client, request)), asyncio.ensure_future(self._pump(store, answer))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                request.close()
        answer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_PIECE_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                sink.write(data)
                await sink.drain()
