"""The simulated GhostCut is as strict as the service: it is asked here without our own client, by hand."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import wait_until
from vtid.media.synth import draw_clip
from vtid.simulators.ghostcut import GhostCut
from vtid.simulators.ghostcut.rules import read

Ask = Callable[..., dict[str, Any]]
VE = "/v-w-c/gateway/ve"
STATUS = "work/status"
REGION = [[0, 0], [0.5, 0], [0.5, 0.2], [0, 0.2]]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[GhostCut]:
    with GhostCut(tmp_path / "sim", seconds=0.0) as service:
        yield service


@pytest.fixture
def http(service: GhostCut) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, trust_env=False) as http:
        yield http


@pytest.fixture
def ask(http: httpx.Client) -> Ask:
    """Ask the gateway, signed as its guide says."""

    def ask(route: str, body: Any, **headers: str) -> dict[str, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        inner = hashlib.md5(raw).hexdigest()
        signed = {"AppKey": "demo-key", "AppSign": hashlib.md5(f"{inner}demo-secret".encode()).hexdigest()}
        signed |= {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        answer = http.post(f"{VE}/{route}", content=raw, headers={k: v for k, v in signed.items() if v})
        assert answer.status_code == 200, answer.text
        envelope = answer.json()
        assert envelope.keys() == {"code", "msg", "trace", "body"}
        return envelope

    return ask


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    draw_clip(tmp_path / "clip.mp4", seconds=0.5, width=64, height=48, fps=10)
    return tmp_path / "clip.mp4"


def upload(ask: Ask, http: httpx.Client, clip: Path, name: str = "a.mp4", **changed: str) -> tuple[httpx.Response, str]:
    ticket = ask("file/upload/policy/apply", {"nonce": "1", "materialFileType": "video"})["body"]
    form = {
        "key": f"{ticket['dir']}{name}",
        "OSSAccessKeyId": ticket["accessid"],
        "policy": ticket["policy"],
        "signature": ticket["signature"],
        "callback": ticket["base64CallbackBody"],
        "success_action_status": "200",
    } | changed
    answer = http.post(ticket["host"], data=form, files={"file": (name, clip.read_bytes())})
    return answer, f"{ticket['urlPrefix']}{name}"


def finished(ask: Ask, number: Any) -> dict[str, Any]:
    def look() -> Any:
        [item] = ask(STATUS, {"idWorks": [number]})["body"]["content"]
        return item if item["processStatus"] > 0 else None

    return wait_until(look)


def order(url: str, **more: Any) -> dict[str, Any]:
    return {"urls": [url], "needChineseOcclude": 1, "videoInpaintLang": "all", **more}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"AppKey": ""}, 2001),
        ({"AppSign": ""}, 2001),
        ({"AppKey": "another"}, 2003),
        ({"AppSign": "0" * 32}, 2004),
        ({"Content_Type": "text/plain"}, 4001),
    ],
)
def test_who_does_not_sign_is_refused_with_http_200(ask: Ask, headers: dict[str, str], code: int) -> None:
    assert ask("point/query", {}, **headers)["code"] == code


def test_the_signature_is_over_the_very_bytes(ask: Ask) -> None:
    assert ask("point/query", b'{"notZero": true ,  "isValid":true}')["code"] == 1000


def test_what_is_asked_wrongly_is_refused(ask: Ask, http: httpx.Client) -> None:
    assert http.get(f"{VE}/{STATUS}").json()["code"] == 2002
    assert ask("work/free", {"names": ["x"]})["code"] == 3008
    assert ask("work/free", {"urls": []})["code"] == 3008
    assert ask("work/free", order("x") | {"urls": ["http://x/a.mp4"] * 21})["code"] == 4001
    assert ask(STATUS, {})["code"] == 4001
    assert ask("work/list", {"pageSize": 2001})["code"] == 4001
    assert ask("file/remove", {"key": "nobody's"})["code"] == 3003
    assert ask("no/such/route", {})["code"] == 4002
    assert ask("point/query", b"[]")["code"] == 4001
    assert ask("point/query", b"{")["code"] == 4001
    assert http.post("/v-w-c/enum/query2", json={"text": "ProcessStatus"}).json()["code"] == 1000
    assert http.get("/elsewhere").status_code == 404


MASK = {"type": "remove_only_ocr", "start": 0, "end": 2, "region": REGION}
TIERS: list[tuple[str, int, list[dict[str, Any]], bool]] = [
    ("", 1, [], True),
    ("", 2, [], False),
    ("", 2, [MASK | {"type": "remove"}] * 12, True),
    ("", 1, [MASK | {"type": "keep"}], True),
    ("advanced_lite", 2, [MASK] * 10, True),
    ("advanced_lite", 2, [MASK] * 11, False),
    ("advanced_lite", 2, [], False),
    ("advanced_lite", 1, [MASK], False),
    ("advanced_lite", 2, [MASK | {"type": "keep"}], False),
    ("advanced", 2, [MASK], True),
    ("advanced", 2, [MASK, MASK], False),
    ("advanced", 2, [MASK | {"region": [[0, 0], [0.5, 0], [0.5, 0.4], [0, 0.4]]}], False),
    ("advanced_large_box", 2, [MASK | {"region": [[0, 0], [0.5, 0], [0.5, 0.4], [0, 0.4]]}], True),
    ("advanced_large_box", 2, [MASK | {"region": [[0, 0], [1, 0], [1, 0.4], [0, 0.4]]}], False),
    ("advanced_full", 1, [], True),
    ("advanced_full", 2, [MASK], False),
    ("best", 1, [], False),
]


@pytest.mark.parametrize(("model", "mode", "masks", "fits"), TIERS)
def test_the_table_of_tiers(model: str, mode: int, masks: list[dict[str, Any]], fits: bool) -> None:
    extra = json.dumps({"extra_inpaint_config": {"model": model}}) if model else "{}"
    body = order("http://x/a.mp4", needChineseOcclude=mode, videoInpaintMasks=json.dumps(masks), extraOptions=extra)
    assert (read(body).complaint == "") is fits


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"videoInpaintMasks": [MASK]}, "must be a JSON string, not list"),
        ({"extraOptions": {}}, "must be a JSON string, not dict"),
        ({"videoInpaintMasks": "[nonsense"}, "is not JSON"),
        ({"videoInpaintMasks": json.dumps([MASK | {"type": "erase"}])}, "type must be one of"),
        ({"videoInpaintMasks": json.dumps([MASK | {"to_end": 1}])}, "end or to_end"),
        ({"videoInpaintMasks": json.dumps([MASK | {"end": 0}])}, "start must lie before end"),
        ({"videoInpaintMasks": json.dumps([MASK | {"region": REGION[::-1]}])}, "clockwise from the top left"),
        ({"videoInpaintMasks": json.dumps([MASK | {"region": [[0, 0], [9, 0], [9, 9], [0, 9]]}])}, "between 0 and 1"),
        ({"extraOptions": json.dumps({"write_options": {"crf": 9}})}, "between 10 and 30"),
        ({"videoInpaintLang": "fr"}, "videoInpaintLang"),
        ({"extraOptions": '{"extra_inpaint_config":{"model":"advanced_full"}}', "videoInpaintLang": "en"}, "Lang"),
        ({"needChineseOcclude": 7}, "needChineseOcclude"),
        ({"resolution": "4k"}, "resolution"),
        ({"names": ["a", "b"]}, "names"),
    ],
)
def test_a_bad_order_is_taken_and_fails_with_26(ask: Ask, change: dict[str, Any], words: str) -> None:
    body = ask("work/free", order("http://x/a.mp4", **change))
    assert body["code"] == 1000
    item = finished(ask, body["body"]["dataList"][0]["id"])
    assert (item["processStatus"], item["processProgress"]) == (26, 100.0)
    assert words in item["errorDetail"]
    assert item["paidPoint"] == 0


def test_a_file_goes_up_and_comes_back(ask: Ask, http: httpx.Client, clip: Path, service: GhostCut) -> None:
    answer, url = upload(ask, http, clip)
    assert answer.json() == {"Status": "OK"}
    assert answer.headers["Content-MD5"] == base64.b64encode(hashlib.md5(clip.read_bytes()).digest()).decode()
    assert http.get(url).content == clip.read_bytes()
    made = ask("work/free", order(url, names=["mine"]))["body"]
    item = finished(ask, made["dataList"][0]["id"])
    assert (item["processStatus"], item["name"], item["paidPoint"]) == (1, "mine", 1.0)
    assert http.get(item["videoUrl"]).headers["content-type"] == "video/mp4"
    assert sum(p["pointBalance"] for p in ask("point/query", {})["body"]["pointAssets"]) == 999
    assert ask(STATUS, {"idProjects": [str(made["idProject"])]})["body"]["content"] == [item]
    assert [row["name"] for row in service.ledger] == ["mine"]


def test_the_store_wants_its_ticket_and_no_key_of_the_gateway(ask: Ask, http: httpx.Client, clip: Path) -> None:
    assert upload(ask, http, clip, signature="x")[0].status_code == 403
    assert upload(ask, http, clip, name="a" * 65)[0].status_code == 403
    assert upload(ask, http, clip, key="elsewhere/a.mp4")[0].status_code == 403
    assert http.post("/oss", content=b"x").status_code == 400
    assert http.post("/oss", files={"file": b"x"}, headers={"AppKey": "demo-key"}).status_code == 400


def test_sources_that_cannot_be_had(ask: Ask, http: httpx.Client, clip: Path, tmp_path: Path) -> None:
    def status(url: str) -> int:
        return int(finished(ask, ask("work/free", order(url))["body"]["dataList"][0]["id"])["processStatus"])

    assert status("http://例/a.mp4") == 2
    assert status("ftp://x/a.mp4") == 2
    assert status("http://127.0.0.1:1/a.mp4") == 3
    _, url = upload(ask, http, clip)
    assert ask("file/remove", {"key": url.partition("/material/")[2]})["code"] == 1000
    assert status(url) == 14
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"no video" * 99)
    assert status(upload(ask, http, junk)[1]) == 16


def test_the_ladder_goes_up_and_the_list_pages(ask: Ask, service: GhostCut) -> None:
    service.moods.seconds = 0.3
    numbers = [ask("work/free", order("http://x/a.mp4"))["body"]["dataList"][0]["id"] for _ in range(5)]
    seen: list[int] = []

    def climb() -> bool:
        [item] = ask(STATUS, {"idWorks": [numbers[-1]]})["body"]["content"]
        if item["processStatus"] not in seen:
            seen.append(item["processStatus"])
        return item["processStatus"] > 0

    wait_until(climb, every=0.01)
    assert seen == [-2, -1, 0, 3]
    pages = [ask("work/list", {"page": page, "pageSize": 2})["body"]["content"] for page in range(4)]
    assert [[item["id"] for item in page] for page in pages] == [
        [numbers[4], numbers[3]],
        [numbers[2], numbers[1]],
        [numbers[0]],
        [],
    ]
    assert ask("work/list", {"createTimeGreaterThanOrEqualTo": 1 << 60})["body"]["content"] == []
