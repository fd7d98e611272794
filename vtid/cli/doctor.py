"""`vtid doctor`: the machine that vtid runs on, what it lacks, and what that means."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vtid import __version__
from vtid.cli.local import json_option, load_config, output
from vtid.cli.machine import Fact, State, clock, disk, memory, open_files, processors, shared_memory
from vtid.cli.output import Output
from vtid.errors import ConfigError, RetryLater, StepFailed, StorageError

if TYPE_CHECKING:
    from vtid.config import Config

MARKS: dict[str, str] = {"ok": "✓", "note": "·", "missing": "✗"}

_PROBE = """
import importlib, importlib.metadata, json, sys, warnings
warnings.simplefilter("ignore")
module = importlib.import_module(sys.argv[1])
version = getattr(module, "__version__", None) or importlib.metadata.version(sys.argv[1])
libraries = getattr(module, "library_versions", None) or {}
print(json.dumps({"version": str(version), "libraries": {k: ".".join(map(str, v)) for k, v in libraries.items()}}))
"""
PROBE_S = 60.0

LIBRARIES: dict[str, tuple[str, str, bool]] = {
    # module: what people call it, what its absence means, whether vtid can do without it
    "av": ("PyAV", "no video can be read or written; run: pip install av", False),
    "cv2": ("OpenCV", "no picture can be worked on; run: pip install opencv-python-headless", False),
    "onnxruntime": ("ONNX Runtime", "the text detector RapidOCR cannot run; run: pip install onnxruntime", False),
    "rapidocr": ("RapidOCR", "burned-in text cannot be found; run: pip install rapidocr", False),
    "easyocr": ("EasyOCR", "not installed; it is an optional, slower text detector", True),
}
ENCODERS = {
    "libx264": "H.264 video cannot be written, and the result of most jobs is H.264",
    "libx265": "HEVC sources are written as another codec",
    "libsvtav1": "AV1 sources are written as another codec",
    "libvpx-vp9": "VP9 sources are written as another codec",
}
HARDWARE = ("_nvenc", "_qsv", "_amf", "_v4l2m2m")


@click.command(
    "doctor", help="Look at this machine: versions, encoders, memory, disk. Exit code 1 where something is missing."
)
@json_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """Look, and say plainly what is missing and what it means."""
    out = output(ctx)
    facts = list(_facts(ctx))
    missing = [fact for fact in facts if fact.state == "missing"]
    if out.as_json:
        out.json({"ok": not missing, "facts": facts})
    else:
        _say(out, facts, missing)
    ctx.exit(1 if missing else 0)


def _facts(ctx: click.Context) -> Iterator[Fact]:
    config, about = _config(ctx)
    yield Fact("vtid", "ok", __version__)
    yield Fact("Python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Fact("system", "ok", platform.platform())
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(library, LIBRARIES):
            yield from found
    yield from encoder_facts(_encoders)
    yield from card_facts(config)
    yield from plugin_facts(config)
    yield from preset_facts(config)
    yield from model_facts(config)
    yield from access_facts(config)
    yield processors()
    yield memory()
    yield about
    yield from (disk(name, path) for name, path in _places(config))
    yield from storage_facts(config)
    yield shared_memory()
    yield open_files()
    yield clock(time.time(), Path(__file__).stat().st_mtime)


def _config(ctx: click.Context) -> tuple[Config, Fact]:
    """The configuration, or the defaults where it has problems, which are the business of `vtid check`."""
    from vtid.config import Config

    try:
        config = load_config(ctx)
        return config, Fact("configuration", "ok", str(config.file or "no vtid.toml: the defaults hold"))
    except ConfigError as error:
        words = f"{len(error.problems)} problem(s); run: vtid check"
        meaning = "the daemon does not start; the defaults are used here"
        return Config(), Fact("configuration", "missing", words, meaning)


def library(name: str) -> list[Fact]:
    """Import a library in a process of its own: one that crashes or hangs must not take the doctor along."""
    title, absence, optional = LIBRARIES[name]
    command = [sys.executable, "-c", _PROBE, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_S, check=False)
    except subprocess.TimeoutExpired:
        return [Fact(title, "missing", f"its import hangs for more than {PROBE_S:g} s", absence)]
    if done.returncode:
        return [_not_imported(title, done, absence, optional=optional)]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    facts = [Fact(title, "ok", told["version"])]
    if told["libraries"]:
        facts.append(Fact("FFmpeg", "ok", ", ".join(f"{k} {v}" for k, v in sorted(told["libraries"].items()))))
    return facts


def _not_imported(title: str, done: subprocess.CompletedProcess[str], absence: str, *, optional: bool) -> Fact:
    lines = done.stderr.strip().splitlines()
    last = lines[-1] if lines else ""
    why = f"its import ends the process (signal {-done.returncode})" if done.returncode < 0 else last
    not_there = last.startswith("ModuleNotFoundError")
    if optional:
        return Fact(title, "note", "–" if not_there else why, absence if not_there else "it is installed but broken")
    return Fact(title, "missing", why, absence)


def _encoders() -> dict[str, bool]:
    from vtid.media import encoders

    return encoders()


def encoder_facts(ask: Callable[[], dict[str, bool]]) -> Iterator[Fact]:
    """The encoders that there are, and what the absence of others means."""
    try:
        known = ask()
    except ImportError as error:
        yield Fact("encoders", "missing", str(error), "no video can be written")
        return
    there = [name for name, built_in in known.items() if built_in]
    software = [name for name in there if not name.endswith(HARDWARE)]
    yield Fact("encoders", "ok", ", ".join(software) or "none")
    for name, meaning in ENCODERS.items():
        if not known.get(name):
            yield Fact(f"encoder {name}", "missing" if name == "libx264" else "note", "–", meaning)


def card_facts(config: Config) -> Iterator[Fact]:
    """The encoders of cards: which work, which rest and why, which do not and why. Each that is there is tried."""
    from vtid import plugins
    from vtid.engine.encoders import opened

    if config.encoders.hardware == "off":
        yield Fact("encoders of cards", "note", "off", "encoders.hardware: all is encoded in software")
        return
    try:
        standings = opened(plugins.load(config), config.encoders).standings(trying=True)
    except StorageError as error:
        yield Fact("encoders of cards", "note", error.message, error.suggestion or "all is encoded in software")
        return
    if not standings:
        meaning = "no card shows itself under /dev: all is encoded in software; `vtid encoders` tells of each encoder"
        yield Fact("encoders of cards", "note", "none", meaning)
    for one in standings:
        state: State = "ok" if one.state == "works" else "note"
        words = f"{one.state} on {one.candidate.device}" + (f", {one.psnr:.1f} dB" if one.psnr else "")
        yield Fact(f"encoder {one.candidate.encoder.name}", state, words, one.reason)


def plugin_facts(config: Config) -> Iterator[Fact]:
    """Whether what each plugin needs is here: its text detector and the weights, its key. `vtid check` judges them."""
    from vtid import plugins

    for record in plugins.load(config).records:
        state: State = "ok" if record.status is plugins.Status.ENABLED else "note"
        yield Fact(f"plugin {record.name}", state, record.status.value, record.reason)
        if record.account and record.status is plugins.Status.ENABLED:
            yield account_fact(record.name, record.account)


def preset_facts(config: Config) -> Iterator[Fact]:
    """The qualities that films may be asked for in, and what is wrong with a file of one."""
    from vtid import presets

    found = presets.load(config.presets.dirs)
    yield Fact("presets", "ok" if found.known else "missing", ", ".join(found.known) or "none")
    for name, problems in found.broken.items():
        words = "; ".join(map(str, problems))
        yield Fact(f"preset {name}", "missing", words, f'compositions of "quality": "{name}" are refused')


def account_fact(plugin: str, ask: Callable[[], str]) -> Fact:
    """How the account at the service behind a plugin stands: whether its key holds, and what is left."""
    name = f"account of {plugin}"
    try:
        return Fact(name, "ok", ask())
    except StepFailed as error:
        return Fact(name, "missing", error.message, error.suggestion or "jobs that need it fail")
    except RetryLater as error:
        return Fact(name, "note", error.message, "jobs that need it wait until it answers")
    except Exception as error:  # noqa: BLE001 - a stranger's code must not end the doctor
        return Fact(name, "note", f"{type(error).__name__}: {error}", "the plugin has a bug: its hook vtid_account")


def model_facts(config: Config) -> Iterator[Fact]:
    """The operator's models, looked at quickly."""
    from vtid.models import Store

    store = Store(config.models_path, allow_non_commercial=config.models.allow_non_commercial)
    standings = list(store.standings())
    if not standings:
        yield Fact("models", "note", "none", "vtid needs none; add one of yours with `vtid models add`")
    for name, record, problem in ((s.name, s.record, s.problem) for s in standings):
        words = f"{record.kind}, {record.licence}" if record else "–"
        meaning = f"{problem}; jobs that name it fail" if problem else ""
        yield Fact(f"model {name}", "missing" if problem else "ok", words, meaning)


def access_facts(config: Config) -> Iterator[Fact]:
    """Who can reach the daemon, by what they are let in, and whether others of this machine can read it."""
    from vtid.accounts.first_start import KEY_FILE
    from vtid.config import LOOPBACK, weakness

    server, alone = config.server, config.server.host in LOOPBACK
    if alone:
        yield Fact("address", "ok", f"{server.host}: this machine only")
    elif (server.public_url or "").startswith("https://"):
        yield Fact("address", "ok", f"{server.host}, as {server.public_url}")
    else:
        meaning = "passwords and keys cross the network in the clear; docs/accounts.md tells of a proxy with TLS"
        yield Fact("address", "note", f"{server.host}: the network, without https", meaning)
    yield callback_fact(config)
    given = config.auth.jwt_secret_key
    weak = weakness(given) if given else None
    where = "auth.jwt_secret_key" if given else "of the data folder"
    yield Fact("token secret", "note" if weak else "ok", where, f"it {weak}; fine on this machine only" if weak else "")
    for name, file in (("key of this machine", KEY_FILE), ("secret", "secret.key")):
        yield private_file(name, config.data.path / file)


def callback_fact(config: Config) -> Fact:
    """Whether services in the cloud can say that they are done."""
    from vtid.app import outside_url
    from vtid.net import Reach

    url = outside_url(config, Reach(config.net.allow))
    if url:
        return Fact("callbacks", "ok", f"services in the cloud call back at {url}")
    meaning = (
        "those services are asked how things stand instead; server.public_url turns them on: https://…, or http:// "
    )
    return Fact("callbacks", "note", "off", f"{meaning}where net.allow names the host")


def private_file(name: str, path: Path) -> Fact:
    """A file that is its owner's alone."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return Fact(name, "note", "–", "made at the first start of the daemon")
    if mode & 0o077:
        return Fact(name, "missing", f"{path} has mode {mode:o}", f"others can read it; run: chmod 600 {path}")
    return Fact(name, "ok", str(path))


def _places(config: Config) -> Iterator[tuple[str, Path]]:
    import tempfile

    yield "data folder", Path(config.data.path).absolute()
    yield "temporary folder", Path(tempfile.gettempdir())


def storage_facts(config: Config) -> Iterator[Fact]:
    """Where files lie; of a bucket, whether it can be used, and whether it forgets what uploads left."""
    from vtid.errors import VtidError

    storage = config.storage
    if not storage.is_s3:
        yield Fact("storage", "ok", f"files in {Path(config.data.path).absolute() / 'files'}")
        return
    from vtid.storage.lifecycle import is_tidy
    from vtid.storage.opening import open_bucket

    bucket = open_bucket(storage)
    words = f"bucket {storage.bucket} at {storage.endpoint_url}"
    try:
        bucket.check()
    except VtidError as error:
        yield Fact("storage", "missing", words, f"{error.message} {error.suggestion or ''}".strip())
        return
    yield Fact("storage", "ok", words)
    if not is_tidy(bucket):
        meaning = "the daemon clears half uploads itself; to have the bucket do it too: vtid storage setup"
        yield Fact("lifecycle of temp/", "note", "no rule", meaning)


def _say(out: Output, facts: list[Fact], missing: list[Fact]) -> None:
    width = max(len(fact.name) for fact in facts)
    for fact in facts:
        out.say(f"{MARKS[fact.state]} {fact.name:<{width}}  {fact.value}")
        if fact.meaning:
            out.say(f"  {'':<{width}}  → {fact.meaning}")
    if missing:
        out.say(f"\nMissing: {', '.join(fact.name for fact in missing)}.")
    else:
        out.say("\nThis machine has all that vtid needs.")
