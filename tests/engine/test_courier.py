"""Webhooks on their way: signed so that the stock receiver verifies them, retried over days, none in another's way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Receiver
from standardwebhooks.webhooks import WebhookVerificationError

from tests.conftest import Lab, wait_until
from tests.net.origin import Act, Asked, Origin, origin, say
from vtid.db import Deliveries, DeliveryFilter, Webhooks
from vtid.domain.webhook import JOB_EVENTS, Delivery, Webhook
from vtid.engine.courier import RETRY_S, Courier, Terms
from vtid.engine.registrar import OVERLAP_S, Registrar
from vtid.errors import Conflict, NotFound
from vtid.net import Outbound, Reach

PIPELINES = {
    "good": '[[step]]\nid="a"\nuses="lab.write"\n[[deliver]]\nfrom="a.file"\nname="out.txt"\n',
    "bad": '[[step]]\nid="a"\nuses="lab.fail"\n',
}
HOUR = 3600.0
USER = "local"


class Clock:
    """The real one, put forward: jobs end by the real one."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead

    @property
    def now(self) -> float:
        return self()


class Post:
    """A courier with a clock of its own, and receivers that a test makes."""

    def __init__(self, lab: Lab, clock: Clock, resolve: Any = None) -> None:
        self.lab = lab
        self.clock = clock
        self.run = lab.bridge.run
        outbound = Outbound(Reach(["127.0.0.0/8"]), resolve)
        self.hooks = Webhooks(lab.app.database, clock)
        self.deliveries = Deliveries(lab.app.database, clock)
        self.registrar = Registrar(self.hooks, lab.app.sealer, outbound, clock)
        self.courier = Courier(
            self.deliveries,
            self.registrar,
            outbound,
            lab.bridge,
            Terms(timeout_s=5, disable_after_s=5 * 24 * HOUR),
            lambda key, name: f"https://media.example/{key}?{name}",
            clock,
            spread=0.0,
        )

    def add(self, url: str, events: Any = JOB_EVENTS) -> tuple[Webhook, str]:
        return self.run(self.registrar.add(USER, url, [str(e) for e in events], ""))

    def job(self, pipeline: str = "good", callback: str | None = None) -> Any:
        async def intake() -> str:
            async with self.lab.app.intake.draft(USER) as draft:
                if callback:
                    draft.call_back(callback)
                return (await draft.submit(pipeline=pipeline, params={})).id

        return self.lab.run(self.run(intake()))

    def round(self) -> int:
        """All that is due now, to its end."""
        count = 0
        while set_out := self.courier.round():
            count += set_out
            wait_until(lambda: self.courier.in_hand == 0, every=0.005)
        return count

    def list(self, **filters: Any) -> list[Delivery]:
        return list(self.run(self.deliveries.list(DeliveryFilter(USER, **filters))))

    def one(self) -> Delivery:
        (only,) = self.list()
        return only


@pytest.fixture
def post(make_lab: Callable[..., Lab]) -> Iterator[Post]:
    made = Post(make_lab(PIPELINES, net__allow=("127.0.0.0/8",)), Clock())
    yield made
    made.courier.stop()


@pytest.fixture
def receiver() -> Iterator[Origin]:
    with origin(answers("204 No Content")) as server:
        yield server


def answers(status: str, body: bytes = b"", **headers: str) -> Act:
    return lambda _asked, sock: say(sock, status, body, **headers)


def verified(secret: str, asked: Asked) -> dict[str, Any]:
    return Receiver(secret).verify(asked.body, asked.headers)  # type: ignore[no-any-return]


# --- what is sent


def test_the_stock_receiver_verifies_what_is_told(post: Post, receiver: Origin) -> None:
    _, secret = post.add(f"{receiver.url}/hook?key=1")
    job = post.job()
    assert post.round() == 1
    (asked,) = receiver.asked
    assert (asked.method, asked.path, asked.headers["content-type"]) == ("POST", "/hook?key=1", "application/json")
    told = verified(secret, asked)
    assert told["type"] == "job.completed"
    assert datetime.fromisoformat(told["timestamp"]).tzinfo == UTC
    data = told["data"]
    assert (data["job_id"], data["status"], data["progress"], data["pipeline"]) == (job.id, "completed", 100, "good")
    assert data["result_url"] == f"https://media.example/{job.results[0].key}?out.txt"
    assert "result" not in told
    tampered = asked._replace(body=asked.body.replace(b"completed", b"cancelled"))
    with pytest.raises(WebhookVerificationError):
        verified(secret, tampered)
    delivery = post.one()
    assert (delivery.state, delivery.status, delivery.id) == ("delivered", 204, asked.headers["webhook-id"])


def test_a_failure_tells_why(post: Post, receiver: Origin) -> None:
    _, secret = post.add(receiver.url)
    post.job("bad")
    post.round()
    told = verified(secret, receiver.asked[0])
    assert told["type"] == "job.failed"
    assert told["data"]["error"]["message"]
    assert "result_url" not in told["data"]


def test_only_what_is_wanted_is_told(post: Post, receiver: Origin) -> None:
    post.add(receiver.url, ["job.failed"])
    post.job("good")
    assert post.round() == 0
    post.job("bad")
    assert post.round() == 1


def test_every_retry_of_a_job_is_told(post: Post, receiver: Origin) -> None:
    post.add(receiver.url)
    job = post.job("bad")
    post.run(post.lab.app.jobs.retry(job.id))
    post.lab.run(job.id)
    assert post.round() == 2
    assert len({a.headers["webhook-id"] for a in receiver.asked}) == 2


def test_a_job_calls_back(post: Post, receiver: Origin) -> None:
    post.job(callback=f"{receiver.url}/mine")
    post.job()
    assert post.round() == 1
    (secret,) = post.run(post.registrar.secrets(f"user:{USER}"))
    assert verified(secret, receiver.asked[0])["type"] == "job.completed"
    assert post.run(post.hooks.list(USER)) == []


def test_a_callback_is_made_though_its_job_is_deleted(post: Post, receiver: Origin) -> None:
    job = post.job(callback=receiver.url)
    post.run(post.lab.app.removal.job(job.id, USER))
    assert post.round() == 1
    (secret,) = post.run(post.registrar.secrets(f"user:{USER}"))
    assert verified(secret, receiver.asked[0])["data"]["job_id"] == job.id


def test_a_job_that_is_cancelled_before_it_began(post: Post, receiver: Origin) -> None:
    post.add(receiver.url)
    job_id = post.lab.submit("good")
    post.run(post.lab.app.jobs.cancel(job_id))
    post.round()
    assert json.loads(receiver.asked[0].body)["type"] == "job.cancelled"


# --- secrets


def test_for_a_day_both_secrets_verify(post: Post, receiver: Origin) -> None:
    hook, old = post.add(receiver.url)
    new = post.run(post.registrar.rotate(hook))
    post.job()
    post.round()
    assert verified(old, receiver.asked[0]) == verified(new, receiver.asked[0])
    post.clock.ahead += OVERLAP_S + 1
    post.job()
    post.round()
    signatures = receiver.asked[1].headers["webhook-signature"].split(" ")
    assert len(signatures) == 1


def test_a_third_secret_ends_the_first(post: Post) -> None:
    hook, first = post.add("http://127.0.0.1:1/")
    second, third = post.run(post.registrar.rotate(hook)), post.run(post.registrar.rotate(hook))
    assert post.run(post.registrar.secrets(hook.id)) == [third, second]
    assert first not in (second, third)


def test_nothing_lies_in_the_clear(post: Post) -> None:
    _, secret = post.add("http://127.0.0.1:1/hush-hush")
    post.job()
    files = post.lab.app.config.data.path.glob("vtid.db*")
    everything = b"".join(p.read_bytes() for p in files)
    assert b"hush-hush" not in everything
    assert secret.removeprefix("whsec_").encode() not in everything


# --- what goes wrong


def test_it_is_tried_for_three_days_then_given_up(post: Post, receiver: Origin) -> None:
    post.add(receiver.url)
    receiver.act = answers("500 Internal Server Error", b"<h1>oh no</h1>" * 1000)
    post.job()
    begun = post.clock.now
    for wait in RETRY_S:
        assert post.round() == 1
        assert post.round() == 0
        delivery = post.one()
        assert delivery.state == "pending"
        assert delivery.next_at == pytest.approx(post.clock.now + wait, abs=10)
        post.clock.ahead += wait
    assert post.round() == 1
    delivery, tries = post.run(post.deliveries.get(post.one().id, USER))
    assert (delivery.state, delivery.attempts, delivery.next_at) == ("failed", 10, None)
    assert 72 * HOUR < post.clock.now - begun < 96 * HOUR
    assert [t.number for t in tries] == list(range(1, 11))
    assert {t.error for t in tries} == {"127.0.0.1 answers 500 Internal Server Error"}
    assert tries[0].body.startswith("<h1>oh no</h1>")
    assert len(tries[0].body) == 1024
    ids = {a.headers["webhook-id"] for a in receiver.asked}
    stamps = {a.headers["webhook-timestamp"] for a in receiver.asked}
    assert (len(ids), len(stamps)) == (1, 10)
    receiver.act = answers("200 OK", b"thanks")
    post.run(post.deliveries.replay(delivery.id, USER))
    assert post.round() == 1
    delivery, tries = post.run(post.deliveries.get(delivery.id, USER))
    assert (delivery.state, delivery.attempts, len(tries), tries[-1].body) == ("delivered", 1, 11, "thanks")
    assert receiver.asked[-1].headers["webhook-id"] in ids
    # A receiver refuses what is older than five minutes: each attempt has a time and a signature of its own.
    assert int(receiver.asked[-1].headers["webhook-timestamp"]) == pytest.approx(post.clock.now, abs=10)


@pytest.mark.parametrize(("status", "after"), [("429 Too Many Requests", "600"), ("503 Service Unavailable", "600")])
def test_a_receiver_may_ask_for_patience(post: Post, receiver: Origin, status: str, after: str) -> None:
    post.add(receiver.url)
    receiver.act = answers(status, retry_after=after)
    post.job()
    post.round()
    assert post.one().next_at == pytest.approx(post.clock.now + 600, abs=10)


def test_redirects_are_not_followed(post: Post, receiver: Origin) -> None:
    with origin(answers("200 OK")) as elsewhere:
        post.add(receiver.url)
        receiver.act = answers("302 Found", location=elsewhere.url)
        post.job()
        post.round()
        assert "follow no redirects" in (post.one().error or "")
        assert elsewhere.asked == []


def test_gone_disables_at_once(post: Post, receiver: Origin) -> None:
    hook, _ = post.add(receiver.url)
    receiver.act = answers("410 Gone")
    post.job()
    post.job()
    post.round()
    found = post.run(post.hooks.get(hook.id, USER))
    assert (found.enabled, found.reason) == (False, "127.0.0.1 answered 410 Gone")
    assert {d.state for d in post.list()} == {"failed"}
    post.job()
    assert len(post.list()) == 2


def test_long_failure_disables(post: Post, receiver: Origin) -> None:
    hook, _ = post.add(receiver.url)
    receiver.act = answers("500 No")
    for _ in range(6):
        post.job()
        post.round()
        post.clock.ahead += 24 * HOUR
        if not post.run(post.hooks.get(hook.id, USER)).enabled:
            break
    found = post.run(post.hooks.get(hook.id, USER))
    assert not found.enabled
    assert "120 hours" in (found.reason or "")
    with pytest.raises(Conflict, match="disabled"):
        post.run(post.deliveries.replay(post.list()[0].id, USER))
    with pytest.raises(Conflict, match="disabled"):
        post.run(post.hooks.test(hook.id, USER))
    post.run(post.hooks.change(hook.id, USER, enabled=True))
    receiver.act = answers("200 OK")
    post.run(post.deliveries.replay(post.list()[0].id, USER))
    assert post.round() == 1
    assert post.run(post.hooks.get(hook.id, USER)).failing_since is None


def test_a_success_between_begins_the_count_anew(post: Post, receiver: Origin) -> None:
    hook, _ = post.add(receiver.url)
    for status in ("500 No", "200 OK", "500 No"):
        receiver.act = answers(status)
        post.job()
        post.round()
        post.clock.ahead += 60
    found = post.run(post.hooks.get(hook.id, USER))
    assert found.enabled
    assert found.failing_since == pytest.approx(post.clock.now - 60, abs=10)


def test_a_name_that_came_to_mean_this_machine(make_lab: Callable[..., Lab], receiver: Origin) -> None:
    leads = {"hooks.example": ["127.0.0.1"]}
    post = Post(make_lab(PIPELINES), Clock(), lambda host, _port: leads[host])
    post.add(f"http://hooks.example:{receiver.port}/")
    leads["hooks.example"] = ["169.254.169.254"]
    post.job()
    post.round()
    assert post.one().error == "hooks.example is not an address on the public internet"
    assert receiver.asked == []
    post.courier.stop()


def test_a_slow_receiver_keeps_nobody_waiting(post: Post, receiver: Origin) -> None:
    with origin(lambda *_: receiver.wait(), address="127.0.0.2") as slow:
        post.add(slow.url)
        for _ in range(12):
            post.job()
        post.add(receiver.url)
        post.job()
        reached = False
        for _ in range(5):
            post.courier.round()
            if receiver.asked:
                reached = True
                break
            time.sleep(0.1)
        wait_until(lambda: reached or receiver.asked)
        assert len(slow.asked) <= 2
        post.courier.stop()  # gives back what is in hand, at once
        assert {d.state for d in post.list() if d.host == "127.0.0.2"} == {"pending"}
        assert all(d.attempts == 0 for d in post.list() if d.host == "127.0.0.2")


def test_of_racing_couriers_one_gets_each(post: Post, receiver: Origin) -> None:
    post.add(receiver.url)
    for _ in range(10):
        post.job()
    others = [Deliveries(post.lab.app.database, post.clock) for _ in range(4)]
    taken: list[str] = []
    lock = threading.Lock()

    def take(rows: Deliveries) -> None:
        found = post.run(rows.claim(10, 60, {}, 100))
        with lock:
            taken.extend(d.id for d in found)

    threads = [threading.Thread(target=take, args=(o,)) for o in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 10


def test_what_a_dead_courier_held_is_carried_by_another(post: Post, receiver: Origin) -> None:
    post.add(receiver.url)
    post.job()
    assert len(post.run(post.deliveries.claim(5, 120, {}, 2))) == 1
    assert post.round() == 0
    post.clock.ahead += 121
    assert post.round() == 1


def test_the_log_is_swept(post: Post, receiver: Origin) -> None:
    post.add(receiver.url)
    post.job()
    post.round()
    assert post.courier.sweep() == 0
    post.clock.ahead += 31 * 24 * HOUR
    assert post.courier.sweep() == 1
    with pytest.raises(NotFound):
        post.run(post.deliveries.get(receiver.asked[0].headers["webhook-id"], USER))


def test_nobody_sees_anothers(post: Post) -> None:
    hook, _ = post.add("http://127.0.0.1:1/")
    post.job()
    delivery = post.one()
    for act in (
        post.hooks.get(hook.id, "eve"),
        post.hooks.change(hook.id, "eve", enabled=False),
        post.hooks.delete(hook.id, "eve"),
        post.hooks.test(hook.id, "eve"),
        post.deliveries.get(delivery.id, "eve"),
        post.deliveries.replay(delivery.id, "eve"),
    ):
        with pytest.raises(NotFound):
            post.run(act)
    assert post.run(post.deliveries.list(DeliveryFilter("eve"))) == []
