"""Carries events to those who want to hear of them: signed, retried over days, none in another's way.

Everything about a delivery is a row; this only holds those that it has in hand, each for as long as one attempt takes.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from vtid.db import Deliveries
from vtid.domain.webhook import LINK, Attempt, Delivery, DeliveryState, Verdict
from vtid.engine.bridge import Bridge
from vtid.engine.registrar import Registrar
from vtid.errors import InvalidInput, VtidError
from vtid.net import Broken, Outbound, check_url, phrase
from vtid.net.signing import signed_headers

log = structlog.get_logger("vtid.courier")
TICK_S = 0.5
RETRY_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Waits between attempts: ten attempts in a little over three days."""
JITTER = 0.2
LONGEST_S = 86_400.0
PER_HOST = 2
LEASE_S = 120.0
"""Longer than an attempt can take, name and connection included."""
KEPT_BYTES = 1024
"""Of an answer."""


class Terms(Struct, frozen=True):
    """The operator's numbers."""

    timeout_s: float = 15.0
    parallel: int = 8
    disable_after_s: float = 5 * 86_400.0
    keep_s: float = 30 * 86_400.0


class _Stopped(BaseException):
    """This process ends; the delivery goes on in another."""


class Courier:
    """Carries what is due.

    Args:
        deliveries: the rows.
        registrar: has the secrets.
        outbound: the way out.
        bridge: to the database.
        terms: the operator's numbers.
        link: makes a link to a result of its key and file name.
        clock: seconds since the epoch.
        spread: -1 to 1, for the waits; random where None.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        registrar: Registrar,
        outbound: Outbound,
        bridge: Bridge,
        terms: Terms,
        link: Callable[[str, str], str],
        clock: Callable[[], float] = time.time,
        spread: float | None = None,
    ) -> None:
        self._deliveries = deliveries
        self._registrar = registrar
        self._outbound = outbound
        self._bridge = bridge
        self._terms = terms
        self._link = link
        self._clock = clock
        self._spread = spread
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(terms.parallel, "vtid-courier")
        self._thread = threading.Thread(target=self._run, name="vtid-courier", daemon=True)

    def start(self) -> None:
        """Begin to carry."""
        self._thread.start()

    def stop(self) -> None:
        """Give back what is in hand."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True)

    def sweep(self) -> int:
        """Forget old deliveries. Returns how many."""
        return self._bridge.run(self._deliveries.sweep(self._terms.keep_s))

    def _run(self) -> None:
        while not self._stopped.wait(TICK_S):
            try:
                self.round()
            except VtidError as error:
                log.warning("cannot look for deliveries", reason=error.message)
            except Exception:  # whoever waits to be told depends on this loop
                log.exception("bug in the courier")

    def round(self) -> int:
        """Set out with what is due and there are hands for. Returns how many."""
        with self._lock:
            busy = Counter(self._busy)
        room = self._terms.parallel - busy.total()
        if room <= 0:
            return 0
        taken = self._bridge.run(self._deliveries.claim(room, LEASE_S, busy, PER_HOST))
        for delivery in taken:
            with self._lock:
                self._busy[delivery.host] += 1
            self._pool.submit(self._carry, delivery)
        return len(taken)

    @property
    def in_hand(self) -> int:
        """How many deliveries are being tried now."""
        with self._lock:
            return self._busy.total()

    def _carry(self, delivery: Delivery) -> None:
        try:
            verdict = self._verdict(delivery, self._attempt(delivery))
            state = self._bridge.run(self._deliveries.record(delivery, verdict, self._terms.disable_after_s))
            self._say(delivery, state, verdict)
        except _Stopped:
            self._bridge.run(self._deliveries.release(delivery.id))
        except VtidError as error:  # the database: the lease runs out, and it is tried again
            log.warning("a delivery could not be written down", delivery=delivery.id, reason=error.message)
        except Exception:  # nobody else would hear of it from a pool's thread
            log.exception("bug in a delivery", delivery=delivery.id)
        finally:
            with self._lock:
                self._busy -= Counter([delivery.host])

    def _attempt(self, delivery: Delivery) -> tuple[Attempt, float | None]:
        """One try, and after how many seconds the receiver wants the next."""
        begun, at = time.perf_counter(), self._clock()

        def tried(**facts: Any) -> Attempt:
            return Attempt(at, round(time.perf_counter() - begun, 3), **facts)

        try:
            url = check_url(self._registrar.sealer.open(delivery.url), "url", self._outbound.reach)
            body = self._body(delivery)
            secrets = self._bridge.run(self._registrar.secrets(delivery.key_owner))
            headers = signed_headers(secrets, delivery.id, int(at), body) | {"Content-Type": "application/json"}
            seconds = self._terms.timeout_s
            with self._outbound.session(seconds=seconds, idle_s=seconds, check=self._check) as out:
                answer = out.post(url, body, headers, KEPT_BYTES)
        except Broken as error:
            return tried(error=error.message), error.after
        except InvalidInput as error:
            return tried(error=error.message), None
        text = answer.body.decode("utf-8", "replace").replace("\0", "")
        if 200 <= answer.status < 300:
            return tried(status=answer.status, body=text), None
        words = f"{delivery.host} answers {phrase(answer.status)}"
        if 300 <= answer.status < 400:
            words += "; webhooks follow no redirects"
        after = answer.headers.get("retry-after", "")
        return tried(status=answer.status, error=words, body=text), float(after) if after.isdigit() else None

    def _check(self) -> None:
        if self._stopped.is_set():
            raise _Stopped

    def _body(self, delivery: Delivery) -> bytes:
        payload = dict(delivery.payload)
        result = payload.pop("result", None)
        if result:
            payload["data"] = payload["data"] | {"result_url": self._link(result["key"], result["filename"])}
        return msgspec.json.encode(self._linked(payload))

    def _linked(self, value: Any) -> Any:
        """The same with links in their places: they expire sooner than deliveries do."""
        if isinstance(value, list):
            return [self._linked(each) for each in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {LINK}:
            return self._link(value[LINK]["key"], value[LINK]["filename"])
        return {name: self._linked(each) for name, each in value.items()}

    def _verdict(self, delivery: Delivery, tried: tuple[Attempt, float | None]) -> Verdict:
        attempt, after = tried
        if attempt.error is None:
            return Verdict(attempt)
        if attempt.status == HTTPStatus.GONE:
            return Verdict(attempt, disable=f"{delivery.host} answered 410 Gone")
        if delivery.attempts >= len(RETRY_S):
            return Verdict(attempt)
        spread = random.uniform(-1, 1) if self._spread is None else self._spread
        wait = RETRY_S[delivery.attempts] * (1 + JITTER * spread)
        return Verdict(attempt, retry_at=self._clock() + max(wait, min(after or 0.0, LONGEST_S)))

    def _say(self, delivery: Delivery, state: DeliveryState, verdict: Verdict) -> None:
        facts = {"delivery": delivery.id, "job_id": delivery.job_id, "kind": delivery.event, "host": delivery.host}
        if state is DeliveryState.DELIVERED:
            log.info("delivered", status=verdict.attempt.status, **facts)
        else:
            log.warning("could not deliver", state=state.value, reason=verdict.attempt.error, **facts)
