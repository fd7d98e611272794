"""What a job costs, from the estimate to the ledger; and waiting for one's turn. The whole way, over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import wait_until
from tests.web.site import API, COPY, PIPELINES, SLOW, Site, problem, serving
from vtid.domain.account import User
from vtid.errors import Unavailable
from vtid.media.synth import draw_clip

ME = "/api/v1/users/me"
REPORT = '[[step]]\nid = "copy"\nuses = "lab.pass"\n[[step]]\nid = "say"\nuses = "lab.write"\nwith = {text = "x"}\n[[deliver]]\nfrom = "say.file"\n'
ENDED = ("completed", "failed", "cancelled")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    tiers = {"tiers__free": {"requests_per_minute": 0, "credits": 100, "concurrent_jobs": 1}}
    pipelines = PIPELINES | {"report": REPORT, "while": SLOW.format(ticks=3000) + COPY}
    with serving(tmp_path_factory.mktemp("bank"), workers=True, pipelines=pipelines, **tiers) as site:
        yield site


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Seven seconds."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    draw_clip(path, seconds=7, width=64, height=36, fps=5)
    return path.read_bytes()


class Customer:
    """Somebody of the tier free, with a hundred credits."""

    def __init__(self, site: Site, client: httpx.Client, user: User) -> None:
        self.site = site
        self.http = client
        self.user = user

    def submit(self, film: bytes, pipeline: str = "copy") -> httpx.Response:
        return self.http.post(f"{API}/submit", files={"file": ("film.mp4", film)}, data={"pipeline": pipeline})

    def job(self, job_id: str) -> dict[str, Any]:
        return self.http.get(f"{API}/{job_id}").json()

    def wait(self, job_id: str, *statuses: str) -> dict[str, Any]:
        return wait_until(lambda: (j := self.job(job_id))["status"] in (statuses or ENDED) and j, every=0.05)

    @property
    def balance(self) -> int:
        return self.http.get(f"{ME}/credits").json()["balance"]

    def kinds(self) -> list[tuple[str, int]]:
        found = self.http.get(f"{ME}/credits").json()["movements"]
        return [(m["kind"], m["amount"]) for m in found][::-1]


@pytest.fixture
def customer(bank: Site) -> Iterator[Customer]:
    new = User(id=str(uuid.uuid4()), email=f"{uuid.uuid4()}@example.org")
    user = bank.bridge.run(bank.app.accounts.users.add(new, None, 100))
    headers = {"Authorization": f"Bearer {bank.app.accounts.access.sign(user)}"}
    with bank.client(anonymous=True, headers=headers) as client:
        yield Customer(bank, client, user)


def test_a_second_is_a_credit(customer: Customer, film: bytes) -> None:
    sent = customer.submit(film).json()
    assert (sent["estimated_credits"], sent["actual_credits_used"]) == (7, None)
    done = customer.wait(sent["job_id"])
    assert (done["status"], done["estimated_credits"], done["actual_credits_used"]) == ("completed", 7, 7)
    assert customer.balance == 93
    assert customer.kinds() == [("opening", 100), ("reserved", -7)]
    stats = customer.http.get(f"{ME}/stats").json()
    assert stats["credits"] == {"remaining": 93, "used": 7, "reserved": 0}
    assert stats["jobs"]["completed"] == 1
    assert customer.http.get("/api/v1/auth/me").json()["credits_remaining"] == 93


def test_what_fails_or_is_cancelled_costs_nothing(customer: Customer, film: bytes) -> None:
    failed = customer.wait(customer.submit(film, "fails").json()["job_id"])
    assert (failed["status"], failed["actual_credits_used"]) == ("failed", 0)
    running = customer.submit(film, "while").json()["job_id"]
    customer.wait(running, "processing")
    assert customer.balance == 93
    assert customer.http.get(f"{ME}/stats").json()["credits"]["reserved"] == 7
    customer.http.post(f"{API}/{running}/cancel")
    assert customer.wait(running)["actual_credits_used"] == 0
    assert customer.balance == 100
    again = customer.http.post(f"{API}/{failed['job_id']}/retry")
    assert (again.status_code, again.json()["actual_credits_used"]) == (200, None)
    assert customer.wait(failed["job_id"])["status"] == "failed"
    assert customer.balance == 100


def test_a_job_that_gives_no_video_costs_nothing(customer: Customer, film: bytes) -> None:
    sent = customer.submit(film, "report").json()
    assert sent["estimated_credits"] == 0
    assert customer.wait(sent["job_id"])["actual_credits_used"] == 0
    assert customer.balance == 100


def test_too_few_credits(customer: Customer, film: bytes) -> None:
    customer.site.bridge.run(customer.site.app.accounts.ledger.grant(customer.user.id, -95, "spent"))
    before = customer.site.stored()
    body = problem(customer.submit(film), 403, "insufficient_credits")
    assert body["detail"] == "This takes 7 credits, and the account has 5."
    assert body["suggested_action"]
    assert customer.site.stored() == before, "nothing of the upload is kept"
    assert customer.http.get(f"{API}/").json()["jobs"] == []
    keyed = {"Idempotency-Key": str(uuid.uuid4())}
    upload = {"files": {"file": ("film.mp4", film)}, "data": {"pipeline": "copy"}, "headers": keyed}
    problem(customer.http.post(f"{API}/submit", **upload), 403)
    customer.site.bridge.run(customer.site.app.accounts.ledger.grant(customer.user.id, 2, "a gift"))
    assert customer.http.post(f"{API}/submit", **upload).status_code == 202, "a refusal does not use the key up"


def test_fifty_submits_at_once_do_not_overdraw(customer: Customer, film: bytes) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: customer.submit(film, "while"), range(50)))
    taken = [a.json()["job_id"] for a in answers if a.status_code == 202]
    assert len(taken) == 100 // 7
    assert {a.status_code for a in answers} == {202, 403}
    assert customer.balance == 100 % 7
    for job_id in taken:
        customer.http.post(f"{API}/{job_id}/cancel")
    for job_id in taken:
        customer.wait(job_id)
    assert customer.balance == 100


def test_estimates(customer: Customer, bank: Site, film: bytes) -> None:
    def estimate(**body: Any) -> httpx.Response:
        return customer.http.post(f"{API}/estimate", json=body)

    assert estimate(pipeline="copy", seconds=30).json() == {
        "estimated_credits": 30,
        "credits_remaining": 100,
        "sufficient": True,
    }
    assert estimate(pipeline="copy", seconds=101).json()["sufficient"] is False
    assert estimate(pipeline="copy", seconds=0.2).json()["estimated_credits"] == 1
    assert estimate(pipeline="report", seconds=30).json()["estimated_credits"] == 0
    job_id = customer.submit(film).json()["job_id"]
    asset = bank.bridge.run(bank.app.jobs.get(job_id)).inputs["video"]
    assert estimate(pipeline="copy", asset_id=asset).json()["estimated_credits"] == 7
    problem(estimate(pipeline="copy"), 400)
    problem(estimate(pipeline="copy", seconds=-1), 400)
    problem(estimate(pipeline="nothing", seconds=1), 404)
    problem(estimate(pipeline="copy", asset_id=str(uuid.uuid4())), 404)
    other = bank.http.post(f"{API}/estimate", json={"pipeline": "copy", "asset_id": asset})
    problem(other, 404)
    owner = bank.http.post(f"{API}/estimate", json={"pipeline": "copy", "seconds": 9}).json()
    assert owner == {"estimated_credits": 9, "credits_remaining": None, "sufficient": True}
    customer.wait(job_id)


def test_the_owner_pays_nothing_and_is_told_what_it_would_have_been(bank: Site, film: bytes) -> None:
    done = bank.wait(bank.submit(film).json()["job_id"])
    assert (done["estimated_credits"], done["actual_credits_used"]) == (7, 7)
    assert bank.http.get(f"{ME}/credits").json() == {"balance": 0, "movements": [], "next": None}


def test_a_second_job_waits_its_turn_and_says_so(customer: Customer, bank: Site, film: bytes) -> None:
    first = customer.submit(film, "while").json()["job_id"]
    customer.wait(first, "processing")
    second = customer.submit(film).json()["job_id"]
    waiting = wait_until(lambda: (j := customer.job(second))["message"].startswith("Waiting for its turn") and j)
    assert waiting["status"] == "queued"
    assert waiting["message"] == "Waiting for its turn: 1 job runs at once on the tier free"
    assert bank.wait(bank.submit(film).json()["job_id"])["status"] == "completed", "others do not wait"
    assert customer.job(second)["status"] == "queued"
    customer.http.post(f"{API}/{first}/cancel")
    assert customer.wait(second)["status"] == "completed"


def test_the_ledger_in_pages(customer: Customer) -> None:
    run, ledger = customer.site.bridge.run, customer.site.app.accounts.ledger
    for i in range(5):
        run(ledger.grant(customer.user.id, i + 1, f"gift {i}"))
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = customer.http.get(f"{ME}/credits", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [m["amount"] for m in page["movements"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2, 1, 100]
    problem(customer.http.get(f"{ME}/credits", params={"cursor": "nonsense"}), 400)


# --- admins


def test_an_admin_gives_credits_and_sees_everybody(customer: Customer, bank: Site, film: bytes) -> None:
    at = f"/api/v1/admin/users/{customer.user.id}"
    moved = bank.http.post(f"{at}/credits", json={"amount": 50, "reason": "a gift"}).json()
    assert (moved["amount"], moved["balance"], moved["reason"]) == (50, 150, "a gift (by admin@localhost)")
    problem(bank.http.post(f"{at}/credits", json={"amount": -151, "reason": "x"}), 403, "insufficient_credits")
    problem(bank.http.post(f"{at}/credits", json={"amount": 1, "reason": ""}), 400)
    assert bank.http.get(f"{at}/credits").json()["balance"] == 150
    job_id = customer.submit(film).json()["job_id"]
    customer.wait(job_id)
    (found,) = bank.http.get("/api/v1/admin/jobs", params={"user_id": customer.user.id}).json()["jobs"]
    assert (found["job_id"], found["user_id"]) == (job_id, customer.user.id)
    assert (
        bank.http.get("/api/v1/admin/users", params={"text": customer.user.email}).json()["users"][0]["tier"] == "free"
    )
    assert bank.http.patch(at, json={"tier": "pro"}).json()["limits"]["concurrent_jobs"] == 3
    problem(bank.http.patch(at, json={"tier": "gold"}), 400)
    problem(bank.http.patch("/api/v1/admin/users/nobody", json={"tier": "pro"}), 404)
    stats = bank.http.get("/api/v1/admin/stats").json()
    assert stats["users"]["pro"] >= 1
    assert stats["workers"] == 1
    system = bank.http.get("/api/v1/admin/system/health").json()
    assert system["status"] == "healthy"
    assert system["workers"][0]["slots"] == 2


def test_pages_of_accounts(bank: Site, customer: Customer) -> None:
    emails: list[str] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = bank.http.get("/api/v1/admin/users", params={"limit": 1} | more).json()
        emails += [u["email"] for u in page["users"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(emails) == len(set(emails)) >= 2
    assert emails[0] == customer.user.email, "the newest first"


# --- repeats


def test_a_repeat_of_whatever_makes_something_gets_the_first_answer(bank: Site, customer: Customer) -> None:
    makers: list[tuple[httpx.Client, str, Callable[[], dict[str, Any]]]] = [
        (customer.http, f"{ME}/api-keys", lambda: {"name": str(uuid.uuid4())}),
        (bank.http, "/api/v1/admin/users", lambda: {"email": f"{uuid.uuid4()}@example.org"}),
        (bank.http, f"/api/v1/admin/users/{customer.user.id}/credits", lambda: {"amount": 1, "reason": "r"}),
    ]
    for client, path, make in makers:
        body, key = make(), {"Idempotency-Key": str(uuid.uuid4())}
        first, second = (client.post(path, json=body, headers=key) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 201), path
        assert first.content == second.content
        assert first.headers.get("location") == second.headers.get("location")
        assert second.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        other = make() | ({"amount": 2} if "amount" in body else {})
        problem(client.post(path, json=other, headers=key), 422, "idempotency_key_reused")
    assert customer.balance == 101, "given once"
    keys = customer.http.get(f"{ME}/api-keys").json()
    assert len(keys) == 1


def test_a_repeat_while_the_first_is_on_its_way(customer: Customer, bank: Site) -> None:
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(8) as pool:
        headers = {"Idempotency-Key": key}
        answers = list(
            pool.map(lambda _: customer.http.post(f"{ME}/api-keys", json={"name": "n"}, headers=headers), range(8))
        )
    made = [a for a in answers if a.status_code == 201]
    assert made
    assert len({a.content for a in made}) == 1
    for answer in answers:
        if answer.status_code != 201:
            problem(answer, 409, "conflict")
    assert len(customer.http.get(f"{ME}/api-keys").json()) == 1


def test_what_was_made_is_not_made_again_where_its_answer_could_not_be_kept(
    customer: Customer, bank: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("the database went away between the two")

    at, key = f"/api/v1/admin/users/{customer.user.id}/credits", {"Idempotency-Key": str(uuid.uuid4())}
    gift = {"amount": 5, "reason": "a gift"}
    with monkeypatch.context() as patch:
        patch.setattr(bank.core.repeats, "keep", away)
        assert bank.http.post(at, json=gift, headers=key).status_code == 201
    problem(bank.http.post(at, json=gift, headers=key), 409, "conflict")
    assert customer.balance == 105


def test_what_is_kept_for_a_repeat_lies_sealed(customer: Customer, bank: Site) -> None:
    answer = customer.http.post(
        f"{ME}/api-keys", json={"name": "n"}, headers={"Idempotency-Key": str(uuid.uuid4())}
    ).json()
    data = Path(bank.app.config.data.path)
    content = b"".join(p.read_bytes() for p in data.glob("vtid.db*"))
    assert answer["prefix"].encode() in content
    assert answer["key"].encode() not in content


def test_a_jobs_key_fits_no_other_route(customer: Customer, bank: Site, film: bytes) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    sent = customer.http.post(
        f"{API}/submit", files={"file": ("film.mp4", film)}, data={"pipeline": "report"}, headers=key
    )
    assert sent.status_code == 202
    problem(customer.http.post(f"{ME}/api-keys", json={"name": "n"}, headers=key), 422, "idempotency_key_reused")
    customer.wait(sent.json()["job_id"])
