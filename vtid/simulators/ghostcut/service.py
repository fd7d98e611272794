"""The service over HTTP: the gateway with its envelopes and signatures, the object store for uploads, the results."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from vtid.simulators.ghostcut import account as accounts
from vtid.simulators.ghostcut import rules
from vtid.simulators.ghostcut.account import Account, Task
from vtid.simulators.ghostcut.store import Store
from vtid.simulators.ghostcut.work import Workshop
from vtid.simulators.serving import Answer, Hangup, Request, Simulator

GATEWAY = "/v-w-c/gateway/ve/"
ENUMS = "/v-w-c/enum/query2"
MOST_URLS, LARGEST_PAGE = 20, 2000
MATERIAL, RESULTS, STORE = "/material/", "/results/", "/oss"
XML = {"Content-Type": "application/xml"}


class _Refusal(Exception):
    """An envelope that says no."""

    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.code = code


class GhostCut(Simulator):
    """GhostCut on a port of this machine.

    Args:
        folder: for uploads and results.
        more: as of `Simulator`.
    """

    name = "ghostcut"
    Moods = accounts.Moods
    moods: accounts.Moods

    def __init__(self, folder: Path, **more: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._random = Random(1)
        self._addresses: dict[int, tuple[str, float]] = {}
        super().__init__(folder, **more)
        self.account = Account(self.moods, self.charge)
        self.store = Store(folder, f"{self.url}{MATERIAL}")
        self.workshop = Workshop(self.account, folder, self.store.find, self.item, self.sign)
        self.workshop.start()

    def close(self) -> None:
        """Stop working, and answer nobody any more."""
        self.workshop.close()
        super().close()

    def environment(self) -> dict[str, str]:
        """See `Simulator`."""
        return {
            "GHOSTCUT_API_URL": self.url,
            "GHOSTCUT_API_KEY": self.moods.key,
            "GHOSTCUT_APP_SECRET": self.moods.secret,
        }

    def sign(self, body: bytes) -> str:
        """`md5(md5(body) + secret)`, of requests and callbacks alike."""
        inner = hashlib.md5(body).hexdigest()  # noqa: S324 - the service's own scheme
        return hashlib.md5(f"{inner}{self.moods.secret}".encode()).hexdigest()  # noqa: S324

    def item(self, task: Task) -> dict[str, Any]:
        """A task as status, list and callbacks tell of it; with a fresh address of the result where one has expired."""
        now = time.time()
        token, until = self._addresses.get(task.id, ("", 0.0))
        if until <= now:
            token, until = secrets.token_urlsafe(12), now + self.moods.result_ttl_s
            self._addresses[task.id] = token, until
        return self.account.item(task, f"{self.url}{RESULTS}{task.id}/{token}.mp4")

    def answer(self, request: Request) -> Answer:
        """See `Simulator`."""
        if request.path.startswith(GATEWAY):
            return self._gateway(request)
        if request.method == "POST" and request.path == STORE:
            return self._upload(request)
        if request.method == "POST" and request.path == ENUMS:
            return _envelope(1000, "success", [{"code": 1, "description": "success", "descriptionEn": "done"}])
        if request.method == "GET" and request.path.startswith((RESULTS, MATERIAL)):
            return self._download(request.path)
        return Answer(404, b"not found")

    # --- the gateway

    def _gateway(self, request: Request) -> Answer:
        raw, route = request.body(), request.path.removeprefix(GATEWAY)
        time.sleep(self.moods.slow_s)
        try:
            answer = self._routed(route, self._trusted(request, raw))
        except _Refusal as refusal:  # business errors come with HTTP 200 as well
            return _envelope(refusal.code, str(refusal))
        except ValueError as error:
            return _envelope(4001, str(error))
        if route in ("work/free", "work/fast"):
            if self.account.use_up("lose_creates") or self._random.random() < self.moods.lost_answers:
                raise Hangup
            if self.account.use_up("break_creates"):
                return Answer(500, b"Internal Server Error")
        return _envelope(1000, "success", answer)

    def _trusted(self, request: Request, raw: bytes) -> dict[str, Any]:
        """The body of a request whose signature holds."""
        key, sign = request.header("appkey"), request.header("appsign")
        if request.method != "POST":
            raise _Refusal(2002, "use POST")
        if not key or not sign:
            raise _Refusal(2001, "AppKey or AppSign is missing")
        if key != self.moods.key:
            raise _Refusal(2003, "AppKey is wrong")
        if sign != self.sign(raw):
            raise _Refusal(2004, "AppSign is wrong")
        if request.header("content-type").partition(";")[0] != "application/json":
            raise _Refusal(4001, "Content-Type must be application/json")
        body = json.loads(raw)
        if not isinstance(body, dict):
            raise _Refusal(4001, "an object is wanted")
        return body

    def _routed(self, route: str, body: dict[str, Any]) -> Any:
        routes: dict[str, Callable[[dict[str, Any]], Any]] = {
            "work/free": self._create,
            "work/fast": self._create,
            "work/status": self._status,
            "work/list": self._list,
            "point/query": self._points,
            "file/upload/policy/apply": self._policy,
            "file/remove": self._remove,
        }
        if route not in routes:
            raise _Refusal(4002, "no such function")
        return routes[route](body)

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.account.use_up("refuse_creates"):
            raise _Refusal(self.moods.refusal, "refused, as the simulator was told to")
        urls = body.get("urls")
        if not isinstance(urls, list) or not urls:
            raise _Refusal(3008, "urls is required")
        if len(urls) > MOST_URLS:
            raise _Refusal(4001, f"at most {MOST_URLS} urls")
        items = [self.account.item(task, "") for task in self.account.accept(rules.read(body))]
        return {"idProject": items[0]["idProject"], "dataList": [{"url": i["url"], "id": i["id"]} for i in items]}

    def _status(self, body: dict[str, Any]) -> dict[str, Any]:
        by = "idWorks" if body.get("idWorks") else "idProjects"
        ids = body.get(by)
        if not isinstance(ids, list):
            raise _Refusal(4001, "idWorks or idProjects is required")
        if self.account.use_up("forget_tasks"):
            return {"content": []}
        wanted = {str(i) for i in ids}
        tasks = [t for t in self.account.all() if str(t.id if by == "idWorks" else t.project) in wanted]
        return self._page(tasks, body)

    def _list(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.account.use_up("refuse_lists"):
            raise _Refusal(self.moods.refusal, "refused, as the simulator was told to")
        since, before = body.get("createTimeGreaterThanOrEqualTo", 0), body.get("createTimeLessThan", 1 << 62)
        latest = time.time() - self.moods.list_lag_s
        found = [t for t in self.account.all() if since <= t.created_at * 1000 < before and t.created_at <= latest]
        return self._page(found[::-1], body)

    def _page(self, tasks: list[Task], body: dict[str, Any]) -> dict[str, Any]:
        size = body.get("pageSize", 20)
        if not isinstance(size, int) or not 1 <= size <= LARGEST_PAGE:
            raise _Refusal(4001, f"pageSize is 1 to {LARGEST_PAGE}")
        first = int(body.get("page", 0)) * size
        return {"content": [self.item(task) for task in tasks[first : first + size]]}

    def _points(self, _body: dict[str, Any]) -> dict[str, Any]:
        half = self.moods.points / 2
        return {"pointAssets": [{"pointBalance": half}, {"pointBalance": self.moods.points - half}]}

    def _policy(self, body: dict[str, Any]) -> dict[str, Any]:
        if not body.get("nonce") or body.get("materialFileType") != "video":
            raise _Refusal(4001, "nonce and materialFileType are required")
        seconds = body.get("expireSeconds", 3600)
        if not isinstance(seconds, int) or not 1 <= seconds <= 86_400:
            raise _Refusal(4001, "expireSeconds is 1 to 86400")
        return {**self.store.policy(seconds), "host": f"{self.url}{STORE}"}

    def _remove(self, body: dict[str, Any]) -> bool:
        if not self.store.remove(str(body.get("key", ""))):
            raise _Refusal(3003, "no such key")
        return True

    # --- files

    def _upload(self, request: Request) -> Answer:
        boundary = re.search(r"boundary=([^;]+)", request.header("content-type"))
        if request.header("appkey") or request.header("appsign") or not boundary:
            return Answer(400, b"InvalidRequest: a form, and no AppKey", XML)
        if self.account.use_up("lose_uploads"):
            request.stream.read(request.length // 2)
            raise Hangup
        digest, complaint = self.store.take(request.stream, request.length, boundary[1].strip('"'))
        if complaint:
            return Answer(403, complaint.encode(), XML)
        checksum = base64.b64encode(digest).decode()
        return Answer(200, b'{"Status":"OK"}', {"Content-Type": "application/json", "Content-MD5": checksum})

    def _download(self, path: str) -> Answer:
        """A file; of a result only under an address that has not expired."""
        if path.startswith(MATERIAL):
            file = self.store.find(f"{self.url}{path}")
        else:
            number, _, token = path.removeprefix(RESULTS).removesuffix(".mp4").partition("/")
            known, until = self._addresses.get(int(number) if number.isdigit() else 0, ("", 0.0))
            file = self.account.tasks[int(number)].result if known == token and time.time() < until else None
        if file is None:
            return Answer(403, b"AccessDenied", XML)
        if self.account.use_up("cut_downloads"):
            return Answer(200, headers={"Content-Type": "video/mp4"}, file=file, cut_at=file.stat().st_size // 2)
        return Answer(200, headers={"Content-Type": "video/mp4"}, file=file)


def _envelope(code: int, msg: str, body: Any = None) -> Answer:
    return Answer.json({"code": code, "msg": msg, "trace": secrets.token_hex(8), "body": body})
