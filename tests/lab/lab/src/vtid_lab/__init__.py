"""Steps for tests: good, bad, slow and expensive ones."""

import ctypes
import os
import socket
import sys
import time
from pathlib import Path
from typing import Annotated

import httpx

from vtid.sdk import (
    Context,
    File,
    Found,
    Intent,
    Meta,
    NeedsAttention,
    RetryLater,
    Step,
    StepError,
    Struct,
    Video,
    field,
    hookimpl,
)


class Nothing(Struct):
    pass


class VideoIn(Struct):
    video: Video


class VideoOut(Struct):
    video: Video


class FileOut(Struct):
    file: File


class NumberOut(Struct):
    number: int


class NoParams(Struct, forbid_unknown_fields=True):
    pass


class Noop(Step):
    """Do nothing, in place."""

    name = "lab.noop"
    isolated = False

    def run(self, ctx: Context, params: NoParams, inputs: Nothing) -> Nothing:
        return Nothing()


class NoopIsolated(Step):
    """Do nothing, in a process."""

    name = "lab.noop_isolated"

    def run(self, ctx: Context, params: NoParams, inputs: Nothing) -> Nothing:
        return Nothing()


class Pass(Step):
    """Give back the very file that came."""

    name = "lab.pass"

    def run(self, ctx: Context, params: NoParams, inputs: VideoIn) -> VideoOut:
        return VideoOut(inputs.video)


class PassInPlace(Pass):
    """The same, without a process of its own."""

    name = "lab.pass_in_place"
    isolated = False


class Scribble(Step):
    """Write into the file that came in."""

    name = "lab.scribble"

    def run(self, ctx: Context, params: NoParams, inputs: VideoIn) -> VideoOut:
        with inputs.video.path.open("r+b") as file:
            file.truncate(10)
        return VideoOut(inputs.video)


class Leave(Step):
    """Try to take the worker along."""

    name = "lab.leave"
    isolated = False

    def run(self, ctx: Context, params: NoParams, inputs: Nothing) -> Nothing:
        raise SystemExit(3)


class ManyIn(Struct):
    files: dict[str, File]


class Gather(Step):
    """Put texts together, each under its name."""

    name = "lab.gather"
    isolated = False

    def run(self, ctx: Context, params: NoParams, inputs: ManyIn) -> FileOut:
        path = ctx.workspace / "out.txt"
        path.write_text(" ".join(f"{name}={file.path.read_text()}" for name, file in inputs.files.items()))
        return FileOut(File(path))


class GatherIsolated(Gather):
    """The same in a process."""

    name = "lab.gather_isolated"
    isolated = True


class WriteParams(Struct, forbid_unknown_fields=True):
    text: str = "hello"
    name: str | None = None
    numbers: list[Annotated[int, Meta(ge=0)]] = field(default_factory=list)


class Write(Step):
    """Write a text file."""

    name = "lab.write"
    isolated = False

    def run(self, ctx: Context, params: WriteParams, inputs: Nothing) -> FileOut:
        path = ctx.workspace / "out.txt"
        path.write_text(params.text)
        return FileOut(File(path, params.name))


class AppendIn(Struct):
    file: File
    other: File | None = None


class Append(Step):
    """Append a line to a copy of a text file."""

    name = "lab.append"
    isolated = False

    def run(self, ctx: Context, params: WriteParams, inputs: AppendIn) -> FileOut:
        other = inputs.other.path.read_text() if inputs.other else ""
        path = ctx.workspace / "out.txt"
        path.write_text(inputs.file.path.read_text() + other + params.text)
        return FileOut(File(path))


class LookFirst(Step):
    """Wait once, as for a service, and only then ask for its file; the text says whether it was there before."""

    name = "lab.look_first"
    isolated = False
    lazy = True

    def run(self, ctx: Context, params: NoParams, inputs: AppendIn) -> FileOut:
        ctx.sleep(0.01)
        before = inputs.file.path.exists()
        path = ctx.workspace / "out.txt"
        path.write_text(f"{before} {ctx.bring(inputs.file).read_text()} {ctx.bring(inputs.file) == inputs.file.path}")
        return FileOut(File(path))


class MeetParams(Struct, forbid_unknown_fields=True):
    folder: str
    me: str
    other: str


class Meet(Step):
    """Wait until another step is here at the same time."""

    name = "lab.meet"
    isolated = False

    def run(self, ctx: Context, params: MeetParams, inputs: Nothing) -> NumberOut:
        folder = Path(params.folder)
        (folder / params.me).touch()
        deadline = time.monotonic() + 20
        while not (folder / params.other).exists():
            if time.monotonic() > deadline:
                raise StepError(f"{params.other} never came")
            time.sleep(0.01)
            ctx.progress(0.5)
        return NumberOut(1)


class FailParams(Struct, forbid_unknown_fields=True):
    how: str = "error"
    folder: str = ""
    times: int = 1_000_000


class Fail(Step):
    """Fail a number of times, in the way that is asked for."""

    name = "lab.fail"
    isolated = False

    def run(self, ctx: Context, params: FailParams, inputs: Nothing) -> NumberOut:
        counter = Path(params.folder or ctx.workspace) / "count"
        count = len(counter.read_text()) if counter.exists() else 0
        if count < params.times:
            counter.write_text("x" * (count + 1))
            if params.how == "error":
                raise StepError("the moon is in the wrong phase")
            if params.how == "attention":
                raise NeedsAttention("the key was refused; set LAB_KEY")
            if params.how == "later":
                raise RetryLater(0.05, "busy")
            raise ValueError("secret detail")
        return NumberOut(count)


class MisbehaveParams(Struct, forbid_unknown_fields=True):
    how: str
    report: str = ""


class Misbehave(Step):
    """Do what no step should."""

    name = "lab.misbehave"

    def run(self, ctx: Context, params: MisbehaveParams, inputs: Nothing) -> Nothing:
        if params.report:
            Path(params.report).write_text(str(os.getpid()))
        getattr(self, params.how)(ctx)
        return Nothing()

    def segfault(self, ctx: Context) -> None:
        ctypes.string_at(0)

    def allocate(self, ctx: Context) -> None:
        hoard = []
        while True:
            hoard.append(bytearray(b"x" * (8 << 20)))

    def write(self, ctx: Context) -> None:
        with (ctx.workspace / "big").open("wb") as f:
            while True:
                f.write(b"x" * (1 << 20))
                f.flush()

    def write_many(self, ctx: Context) -> None:
        for i in range(1_000_000):
            (ctx.workspace / f"big{i}").write_bytes(b"x" * (4 << 20))

    def hang(self, ctx: Context) -> None:
        while True:
            time.sleep(1)

    def hang_in_native_code(self, ctx: Context) -> None:
        # PyDLL keeps the GIL: no signal handler of Python's, no other thread runs meanwhile.
        ctypes.PyDLL(None).sleep(1000)

    def hang_with_children(self, ctx: Context) -> None:
        pid = os.fork()
        if pid == 0:
            time.sleep(1000)
        Path(ctx.workspace.parents[3] / "grandchild").write_text(str(pid))
        while True:
            time.sleep(1)

    def exit(self, ctx: Context) -> None:
        print("the last words")
        sys.stdout.flush()
        os._exit(3)

    def open_files(self, ctx: Context) -> None:
        hoard = []
        while True:
            hoard.append(Path("/dev/null").open())  # noqa: SIM115 - to be held

    def bug(self, ctx: Context) -> None:
        raise KeyError("nobody")

    def _channel(self) -> socket.socket:
        return socket.socket(fileno=os.dup(int(sys.argv[1])))

    def half_a_message(self, ctx: Context) -> None:
        self._channel().sendall(b"\0\0\3\xe8x")
        time.sleep(1000)

    def endless_message(self, ctx: Context) -> None:
        self._channel().sendall(b"\xff\xff\xff\xff" + b"x" * 1000)
        time.sleep(1000)

    def garbage(self, ctx: Context) -> None:
        self._channel().sendall(b"\0\0\0\4junk")
        time.sleep(1000)

    def die_with_a_child_left(self, ctx: Context) -> None:
        if os.fork() == 0:
            time.sleep(1000)
        os.kill(os.getpid(), 11)

    def nest_folders(self, ctx: Context) -> None:
        os.chdir(ctx.workspace)
        for _ in range(3000):
            Path("d").mkdir()
            os.chdir("d")

    def environment(self, ctx: Context) -> None:
        raise StepError(",".join(sorted(os.environ)))


class WrongOutput(Step):
    """Return a file that is not what it should be."""

    name = "lab.wrong_output"

    def run(self, ctx: Context, params: FailParams, inputs: Nothing) -> VideoOut:
        path = ctx.workspace / "out.mp4"
        if params.how == "empty":
            path.touch()
        elif params.how == "text":
            path.write_text("not a video" * 100)
        elif params.how == "outside":
            return VideoOut(Video(Path("/etc/hostname")))
        return VideoOut(Video(path))


class SlowParams(Struct, forbid_unknown_fields=True):
    ticks: int = 100
    seconds: float = 0.02


class Slow(Step):
    """Report progress, slowly, in a process."""

    name = "lab.slow"

    def run(self, ctx: Context, params: SlowParams, inputs: Nothing) -> Nothing:
        for i in range(params.ticks):
            ctx.progress(i / params.ticks, f"tick {i}")
            time.sleep(params.seconds)
        return Nothing()


class SlowInPlace(Slow):
    """Report progress, slowly, in place."""

    name = "lab.slow_in_place"
    isolated = False

    def run(self, ctx: Context, params: SlowParams, inputs: Nothing) -> Nothing:
        return super().run(ctx, params, inputs)


class TellParams(Struct, forbid_unknown_fields=True):
    how: str = "well"
    name: str = "number"


class Tell(Step):
    """Tell a number before the end, and end as asked for, in a process."""

    name = "lab.tell"

    def run(self, ctx: Context, params: TellParams, inputs: Nothing) -> NumberOut:
        number = ctx.once("number", lambda _: {"is": 7, "link": os.environ.get("LAB_LINK")})["is"]
        ctx.note(**{params.name: number})
        ctx.progress(0.4)
        if params.how == "fail":
            raise StepError("after it told")
        while params.how == "hang":
            time.sleep(0.02)
            ctx.progress(0.5)
        if params.how == "wait":
            ctx.sleep(0.05)
        return NumberOut(number + 1)


class TellInPlace(Tell):
    """The same in place."""

    name = "lab.tell_in_place"
    isolated = False


class PayParams(Struct, forbid_unknown_fields=True):
    url: str
    every: float = 0.2
    blind: bool = False


class PayOut(Struct):
    receipt: str


class Pay(Step):
    """Buy something from a slow service, once."""

    name = "lab.pay"
    isolated = False

    def run(self, ctx: Context, params: PayParams, inputs: Nothing) -> PayOut:
        with httpx.Client(base_url=params.url, timeout=10, trust_env=False) as client:

            def buy(token: str) -> str:
                headers = {} if params.blind else {"Idempotency-Key": token}
                answer = client.post("/orders", json={"reference": ctx.job_id}, headers=headers)
                answer.raise_for_status()
                return str(answer.json()["id"])

            def look_up(intent: Intent) -> Found | None:
                orders = client.get("/orders", params={"reference": ctx.job_id}).json()
                return Found(orders[0]["id"]) if orders else None

            order = ctx.once("order", buy, reconcile=look_up if params.blind else None)

            def ready() -> str | None:
                answer = client.get(f"/orders/{order}").json()
                return answer["receipt"] if answer["status"] == "done" else None

            return PayOut(ctx.poll(ready, every=params.every, message="Waiting for the service"))


@hookimpl
def vtid_steps() -> list[type[Step]]:
    return [
        Noop,
        NoopIsolated,
        Pass,
        PassInPlace,
        Scribble,
        Leave,
        Write,
        Gather,
        GatherIsolated,
        Append,
        LookFirst,
        Meet,
        Fail,
        Misbehave,
        WrongOutput,
        Slow,
        SlowInPlace,
        Tell,
        TellInPlace,
        Pay,
    ]
