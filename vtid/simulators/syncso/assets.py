"""Files at the simulated Sync.so: announced, put, registered."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from msgspec import Struct

from vtid.simulators.serving import Answer, Request, as_json, fetch
from vtid.simulators.syncso.checking import Refusal

CEILING = 5 << 30
KINDS = ("VIDEO", "AUDIO", "IMAGE")


class Announced(Struct):
    """A file that somebody said they would put."""

    path: Path
    content_type: str
    size: int
    whole: bool = False


class Assets:
    """The files of the account.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._announced: dict[str, Announced] = {}
        self.registered: dict[str, dict[str, Any]] = {}

    def announce(self, request: Request, base: str, most: int) -> Answer:
        """`POST /v2/assets/upload`: where to put a file."""
        body = as_json(request.body())
        if not isinstance(body, dict) or body.keys() != {"fileName", "contentType", "size"}:
            raise Refusal(400, ["fileName, contentType and size are needed, and nothing else"])
        size = body["size"]
        if not isinstance(size, int) or size <= 0:
            raise Refusal(400, "size must be a positive integer")
        if size > (most or CEILING):
            raise Refusal(422, "the file is larger than the plan allows", "file_size_exceeds_plan_limit")
        name = f"{uuid.uuid4().hex}{Path(str(body['fileName'])).suffix}"
        self._announced[name] = Announced(self._folder / name, str(body["contentType"]), size)
        urls = {"uploadUrl": f"{base}/store/{name}?signature={uuid.uuid4().hex}", "url": f"{base}/store/{name}"}
        return Answer.json({**urls, "expiresIn": 3600}, 201)

    def put(self, request: Request) -> Answer:
        """`PUT uploadUrl`: the bytes; a store that knows no API keys."""
        known = self._announced.get(request.path.rpartition("/")[2])
        if known is None or "signature" not in request.query:
            return Answer(403)
        if request.header("x-api-key"):  # it leaked to a store: real ones refuse what they did not sign
            return Answer(400, b"SignatureDoesNotMatch")
        if request.header("content-type") != known.content_type or request.length != known.size:
            return Answer(403, b"SignatureDoesNotMatch")
        known.whole = request.save(known.path) == known.size
        return Answer(200)

    def get(self, request: Request) -> Answer:
        """`GET url`: what was put."""
        known = self._announced.get(request.path.rpartition("/")[2])
        return Answer(file=known.path) if known and known.whole else Answer(404)

    def register(self, request: Request, base: str) -> Answer:
        """`POST /v2/assets`: a file that was put, or one at a public URL, gets an id."""
        body = as_json(request.body())
        if not isinstance(body, dict) or body.keys() - {"url", "type", "name", "projectId"} or "url" not in body:
            raise Refusal(400, "url and type are needed")
        if body.get("type") not in KINDS:
            raise Refusal(400, f"type must be one of {', '.join(KINDS)}")
        if str(body["url"]).startswith(f"{base}/store/"):
            known = self._announced.get(body["url"].rpartition("/")[2])
            if known is None or not known.whole:
                raise Refusal(404, "no uploaded file", "uploaded_file_not_found")
        asset = {"id": str(uuid.uuid4()), "url": body["url"], "type": body["type"], "name": body.get("name")}
        self.registered[asset["id"]] = asset
        return Answer.json(asset, 201)

    def file(self, one: dict[str, Any], base: str, most: int) -> Path:
        """The file that an input of a generation names, fetched where it lies elsewhere. Raises `Refusal`."""
        kind, url = one["type"], one.get("url")
        if asset_id := one.get("assetId"):
            asset = self.registered.get(asset_id)
            if asset is None:
                raise Refusal(404, "no such asset", "asset_not_found")
            if asset["type"] != kind.upper():
                raise Refusal(422, f"the asset is {asset['type']}", "generation_input_asset_type_mismatch")
            url = asset["url"]
        known = self._announced.get(str(url).rpartition("/")[2]) if str(url).startswith(f"{base}/store/") else None
        if known and known.whole:
            return known.path
        path = self._folder / f"{uuid.uuid4().hex}{Path(str(url).partition('?')[0]).suffix}"
        if not fetch(str(url), path, most or CEILING):
            raise Refusal(
                422,
                f"{kind} URL inaccessible",
                f"generation_input_{kind}_inaccessible",
                suggestion="Make it public, or upload the file.",
            )
        return path
