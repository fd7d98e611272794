"""What happens to tasks behind the counter: their videos are fetched, painted over, and their ends told."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from vtid.errors import InvalidInput
from vtid.media import PyAVMedia
from vtid.media.synth import draw_clip
from vtid.simulators.ghostcut.account import DONE, LOCKED, NO_POINTS, Account, Task
from vtid.simulators.ghostcut.paint import paint
from vtid.simulators.ghostcut.rules import Order
from vtid.simulators.serving import fetch, post

TICK_S = 0.02
LONGEST_S, LARGEST = 15 * 60, 1000 * 1000 * 1000
NOT_A_URL, NO_DOWNLOAD, TOO_LONG, GONE, CORRUPT, BAD_ORDER, TOO_LARGE = 2, 3, 5, 14, 16, 26, 100
TRUE_SIGN, WRONG_SIGN = "", "0" * 32
"""How a callback is signed; a true one when it is sent, since its body has a fresh address."""


class Workshop:
    """Works on tasks when their time has come, and tells their ends.

    Args:
        account: whose tasks.
        folder: for what comes in and goes out.
        uploaded: the file behind one of the service's own addresses, None where it is gone; raises `KeyError` for any
            other address.
        item: a task as the service tells of it.
        sign: the signature of a callback.
    """

    def __init__(
        self,
        account: Account,
        folder: Path,
        uploaded: Callable[[str], Path | None],
        item: Callable[[Task], dict[str, Any]],
        sign: Callable[[bytes], str],
    ) -> None:
        self._account = account
        self._folder = folder
        self._uploaded = uploaded
        self._item = item
        self._sign = sign
        self._made: dict[str, Path] = {}
        self._told: list[tuple[float, Task, str]] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="ghostcut-work")
        self._thread = threading.Thread(target=self._keep_time, name="ghostcut-clock", daemon=True)
        self.deliveries: list[tuple[int, int]] = []
        """Callbacks that were sent: task, HTTP status of the answer (0: none came)."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; tasks that are being worked on are finished first."""
        self._closed.set()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def _keep_time(self) -> None:
        while not self._closed.wait(TICK_S):
            if not self._account.moods.hold:
                for task in self._account.due():
                    self._pool.submit(self._work, task)
            now = self._account.clock()
            with self._lock:
                due = [one for one in self._told if one[0] <= now]
                self._told = [one for one in self._told if one[0] > now]
            for _, task, sign in due:
                self._pool.submit(self._tell, task, sign)

    # --- the work

    def _work(self, task: Task) -> None:
        try:
            self._account.end(task, *self._outcome(task))
        except Exception as error:  # noqa: BLE001 - the customer sees it as a platform failure, as he would there
            self._account.end(task, 7, f"{type(error).__name__}: {error}")
        if task.order.callback:
            self._announce(task)

    def _outcome(self, task: Task) -> tuple[int, str]:
        """The final status and its detail."""
        if task.order.complaint:
            return BAD_ORDER, task.order.complaint
        if not task.url.isascii() or not task.url.startswith(("http://", "https://")):
            return NOT_A_URL, "the address cannot be resolved"
        source = self._fetch(task)
        if isinstance(source, int):
            return source, "the video could not be fetched"
        try:
            seconds = PyAVMedia().probe(source).duration_s
        except InvalidInput as error:
            return CORRUPT, error.message
        if seconds > LONGEST_S or source.stat().st_size >= LARGEST:
            return (TOO_LONG, "15 minutes at most") if seconds > LONGEST_S else (TOO_LARGE, "1000 MB at most")
        if not self._account.price(task, seconds):
            return NO_POINTS, "not enough points"
        if (fate := self._account.fate()) in (DONE, LOCKED):
            task.result = self._result(task, source, seconds)
        return fate, self._account.moods.error_detail

    def _fetch(self, task: Task) -> Path | int:
        """The video, or the status of a task that has none."""
        try:
            return self._uploaded(task.url) or GONE
        except KeyError:
            target = self._folder / f"fetched-{task.id}{Path(task.url.partition('?')[0]).suffix[:5]}"
            return target if fetch(task.url, target, LARGEST) else NO_DOWNLOAD

    def _result(self, task: Task, source: Path, seconds: float) -> Path:
        """The painted video; the same order for the same bytes is painted once."""
        if not self._account.moods.render:
            return source
        how = self._account.moods.result
        order = msgspec.json.encode([task.order.mode, task.order.masks, how])
        key = hashlib.sha256(source.read_bytes() + order).hexdigest()[:24]
        if key not in self._made:
            target = self._folder / f"result-{key}.mp4"
            target.unlink(missing_ok=True)
            _make(source, target, task.order, how, seconds)
            self._made[key] = target
        return self._made[key]

    # --- telling

    def _announce(self, task: Task) -> None:
        moods = self._account.moods
        at = self._account.clock() + moods.callback_delay_s
        with self._lock:
            self._told += [(at, task, WRONG_SIGN)] * moods.forged_callbacks
            self._told += [(at + TICK_S, task, TRUE_SIGN)] * moods.callbacks

    def _body(self, task: Task) -> bytes:
        return json.dumps(self._item(task), ensure_ascii=False, separators=(",", ":")).encode()

    def _tell(self, task: Task, sign: str) -> None:
        """Send a callback; acknowledged is one that is answered with 200 and something in the body."""
        body = self._body(task)
        headers = {"Content-Type": "application/json", "Callback-Sign": sign or self._sign(body)}
        status, words = post(task.order.callback, body, headers) or (0, b"")
        self.deliveries.append((task.id, status))
        if sign == TRUE_SIGN and (status != 200 or not words):
            again = self._account.clock() + self._account.moods.callback_retry_s
            with self._lock:
                self._told.append((again, task, sign))


def _make(source: Path, target: Path, order: Order, how: str, seconds: float) -> None:
    stream = PyAVMedia().probe(source).video[0]
    width, height = stream.width - stream.width % 2, stream.height - stream.height % 2
    if how == "good":
        paint(source, target, order)
    elif how == "broken":
        target.write_bytes(b"this is no video\n" * 64)
    else:
        short = how == "short"
        draw_clip(target, seconds=seconds / 2 if short else seconds, width=width, height=height, fps=10, audio=short)
