"""A load generator: connections that ask, wait for the answer, and ask again. Run in a process of its own.

`python -m benchmarks.web.load HOST PORT CONNECTIONS SECONDS` with requests on standard input, one JSON document a line:
`{"head": "GET / HTTP/1.1\\r\\n…", "body": ""}`. Prints one JSON document: requests a second, and the times in
milliseconds under which 50, 95 and 99 % of them stayed.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from itertools import cycle

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: cycle[bytes], times: list[float], wrong: list[bytes], until: float) -> None:
        self._requests = requests
        self._times = times
        self._wrong = wrong
        self._until = until
        self._buffer = bytearray()
        self._need = -1
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._begun = time.perf_counter()
        if self._begun > self._until:
            self._transport.close()
            return
        self._transport.write(next(self._requests))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._need < 0 and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[: end + 2])
            if head[9:10] != b"2":
                self._wrong.append(head)
            found = LENGTH.search(head)
            self._need = end + 4 + (int(found[1]) if found else 0)
        if 0 <= self._need <= len(self._buffer):
            self._times.append(time.perf_counter() - self._begun)
            del self._buffer[: self._need]
            self._need = -1
            self._ask()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def main(host: str, port: int, connections: int, seconds: float) -> None:
    """Load, then tell."""
    requests = [json.loads(line) for line in sys.stdin]
    turns = cycle([(r["head"] + r["body"]).encode() for r in requests])
    times: list[float] = []
    wrong: list[bytes] = []
    loop, begun = asyncio.get_running_loop(), time.perf_counter()
    made = [
        await loop.create_connection(lambda: Connection(turns, times, wrong, begun + seconds), host, port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    took = time.perf_counter() - begun
    times.sort()
    told = {f"p{p}_ms": round(times[min(len(times) - 1, len(times) * p // 100)] * 1000, 2) for p in (50, 95, 99)}
    print(json.dumps({"per_second": round(len(times) / took, 1), "requests": len(times), "wrong": len(wrong), **told}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
