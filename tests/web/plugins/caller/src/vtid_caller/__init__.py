"""A plugin that waits for a service, which is a folder: it hands over its URL there, and finds the service's answer."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path

from vtid.sdk import Callback, Context, Forged, InvalidInput, Step, Struct, hookimpl

SECRET = b"s3cret"
HOUR = 3600.0


class Params(Struct):
    folder: str
    isolated: bool = False


class Nothing(Struct):
    pass


class Answer(Struct):
    text: str
    asked: int


class Wait(Step):
    """Wait for an answer, an hour between two looks."""

    name = "caller.wait"
    isolated = False

    def run(self, ctx: Context, params: Params, inputs: Nothing) -> Answer:
        folder = Path(params.folder)
        if not (folder / "url").exists():  # it stays the same, and a test may be reading it
            (folder / "url").write_text(ctx.callback_url or "none")

        def look() -> str | None:
            with (folder / "asked").open("a") as asked:
                asked.write(".")
            while (folder / "hold").exists():  # the service takes its time to say how it stands
                ctx.progress(0.5)
            return (folder / "answer").read_text() if (folder / "answer").exists() else None

        text = ctx.poll(look, every=HOUR, message="Waiting for a call")
        return Answer(text, len((folder / "asked").read_text()))


class WaitIsolated(Wait):
    """The same in a process of its own."""

    name = "caller.wait_isolated"
    isolated = True


@hookimpl
def vtid_steps() -> list[type[Step]]:
    return [Wait, WaitIsolated]


@hookimpl
def vtid_callback(headers: Mapping[str, str], body: bytes) -> Callback:
    if not hmac.compare_digest(hmac.new(SECRET, body, hashlib.sha256).hexdigest(), headers.get("x-signature", "")):
        raise Forged("The signature does not hold.")
    try:
        return Callback(json.loads(body)["id"], reply=b"thank you")
    except (ValueError, KeyError) as error:
        raise InvalidInput("The callback names no id.") from error
