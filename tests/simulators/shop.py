"""A slow service that charges for orders, strict about what it charges for and able to misbehave.

`POST /orders {reference}` charges and answers the order's id; with an `Idempotency-Key` a repeat is not charged.
`GET /orders?reference=` lists; `GET /orders/ID` says `pending` until the gate is open, then `done` with a receipt.
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Shop:
    """The service, its ledger, and its moods.

    Args:
        lost_answers: share of charges after which the connection is dropped instead of answered.
        delay_s: how long a charge takes, at most.
    """

    def __init__(self, lost_answers: float = 0.0, delay_s: float = 0.05) -> None:
        self.charges: Counter[str] = Counter()
        self.orders: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.gate = threading.Event()
        self.lost_answers = lost_answers
        self.delay_s = delay_s
        self.random = random.Random(1)
        self.lock = threading.Lock()
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                order = shop.charge(body["reference"], self.headers.get("Idempotency-Key"))
                if order is None:
                    self.close_connection = True
                    return
                self.answer({"id": order})

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if url.path == "/orders":
                    wanted = parse_qs(url.query)["reference"][0]
                    self.answer([{"id": i} for i, r in list(shop.orders.items()) if r == wanted])
                    return
                done = shop.gate.is_set()
                self.answer({"status": "done" if done else "pending", "receipt": f"paid {url.path[8:]}"})

            def answer(self, value: Any) -> None:
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, *args: object) -> None:
                pass  # clients are killed in mid-sentence here

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def charge(self, reference: str, key: str | None) -> str | None:
        """Charge, unless the key is known; None: the answer gets lost."""
        with self.lock:
            order = self.keys.get(key) if key else None
            if order is None:
                order = uuid.uuid4().hex
                self.charges[reference] += 1
                self.orders[order] = reference
                if key:
                    self.keys[key] = order
            delay, lost = self.random.uniform(0, self.delay_s), self.random.random() < self.lost_answers
        time.sleep(delay)  # the time in which a client may die without knowing
        return None if lost else order

    def close(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
