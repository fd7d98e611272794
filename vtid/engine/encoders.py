"""Which encoders work on this machine, which of them a step may use, and which cards are rested.

Kept in a folder that all processes of the machine's user share: what came of trying each encoder, by the versions of
drivers and libraries; how often in a row each card failed; and its sessions, as locks.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec
import structlog
from msgspec import Struct

from vtid import __version__
from vtid.domain.encoder import CODECS, Candidate, Choices, Encoder, Verdict
from vtid.errors import StorageError
from vtid.plugins import Plugins

log = structlog.get_logger("vtid.encoders")
AT_ONCE = 2
"""Encoders that are tried beside one another."""
_WORDS = 600
_PLACE = re.compile(r"\[[^]]* @ 0x[0-9a-f]+\] ")
"""With which FFmpeg begins what a part of it says."""
_MODULES = ("nvidia", "i915", "xe", "amdgpu")
_DRIVERS = ("/proc/driver/nvidia/version", *(f"/sys/module/{name}/*version" for name in _MODULES))
_ROOT = str(Path(__file__).resolve().parents[2])


class Terms(Struct, frozen=True):
    """What the operator chose: the section [encoders]."""

    hardware: str
    ffmpeg: str
    sessions: int
    trial_seconds: float
    stall_seconds: float
    rest_after: int
    rest_minutes: float
    path: str


class Card(Struct, frozen=True):
    """How a card stands."""

    failures: int = 0
    """In a row."""
    rests_until: float = 0.0
    reason: str = ""
    """Of the last one."""


class Standing(Struct, frozen=True):
    """How an encoder stands whose hardware shows itself under /dev."""

    candidate: Candidate
    state: Literal["works", "rests", "fails", "untried"]
    reason: str = ""
    """Why it rests or fails."""
    psnr: float | None = None


class _Known(Struct):
    """What is kept."""

    verdicts: dict[str, Verdict] = {}
    stamps: dict[str, str] = {}
    """Of each verdict: the versions that it is about."""
    cards: dict[str, Card] = {}


class Encoders:
    """The encoders of this machine.

    Args:
        plugins: bring candidates, and choose.
        terms: of the operator.
        clock: seconds since the epoch.
    """

    def __init__(self, plugins: Plugins, terms: Terms, clock: Callable[[], float] = time.time) -> None:
        self._plugins = plugins
        self._terms = terms
        self._clock = clock
        self._folder = Path(terms.path) if terms.path else _usual_folder()
        self.ffmpeg = shutil.which(terms.ffmpeg or "ffmpeg")

    def candidates(self) -> list[Candidate]:
        """Every encoder that plugins know of, on each card that is there; on none, where none is there."""
        found: list[Candidate] = []
        for encoder in self._plugins.encoders:
            cards = _devices(encoder) or [""]
            many = "{device}" in _words(encoder) or "{index}" in _words(encoder)
            ffmpeg = (self.ffmpeg or "") if encoder.engine == "ffmpeg" else ""
            found += [Candidate(encoder, card, ffmpeg) for card in (cards if many else cards[:1])]
        return found

    def verdicts(self, *, again: bool = False) -> list[Verdict]:
        """What comes of trying each, software included; from memory where drivers and libraries are the same."""
        software = [Encoder(name=name, codec=codec, family="software") for name, codec in CODECS.items()]  # type: ignore[arg-type]
        return self._tried([*(Candidate(one) for one in software), *self.candidates()], again=again)

    def cards(self) -> dict[str, Card]:
        """The cards that failed lately."""
        return self._read().cards

    def choices(self, step: str) -> Choices:
        """What a step may encode with now: what works and does not rest, as the plugins choose.

        Only encoders whose hardware shows itself under /dev are tried for this; where there is none, that is all.
        """
        if self._terms.hardware == "off":
            return Choices()
        present = self._present()
        if not present:
            return Choices()
        now, known = self._clock(), self._read()
        awake = [one for one in present if known.cards.get(one.card, Card()).rests_until <= now]
        usable = [one.candidate for one in self._tried(awake) if one.works]
        chosen = self._plugins.chosen_encoders(step, usable)
        terms = self._terms
        return Choices(tuple(chosen), terms.sessions, str(self._folder), terms.stall_seconds)

    def standings(self, *, trying: bool) -> list[Standing]:
        """How the encoders stand whose hardware is here.

        Args:
            trying: try those that were not tried with these drivers; else they are told to be untried.
        """
        present, now = self._present(), self._clock()
        if trying:
            verdicts = {one.candidate.key: one for one in self._tried(present)}
        known = self._read()
        if not trying:
            same = [one.key for one in present if known.stamps.get(one.key) == self._stamp(one)]
            verdicts = {key: known.verdicts[key] for key in same}
        found = []
        for one in present:
            card, verdict = known.cards.get(one.card, Card()), verdicts.get(one.key)
            if card.rests_until > now:
                found.append(Standing(one, "rests", card.reason))
            elif verdict is None:
                found.append(Standing(one, "untried"))
            elif verdict.works:
                found.append(Standing(one, "works", psnr=verdict.psnr))
            else:
                found.append(Standing(one, "fails", verdict.reason or ""))
        return found

    def _present(self) -> list[Candidate]:
        """Those whose hardware shows itself under /dev, and what they need is here."""
        return [one for one in self.candidates() if one.device and (one.encoder.engine == "pyav" or one.ffmpeg)]

    def failed(self, card: str, reason: str) -> None:
        """A card did not do what software then did. After some times in a row it is rested."""
        with self._changing() as known:
            before = known.cards.get(card, Card())
            failures = before.failures + 1
            rests = failures >= self._terms.rest_after
            until = self._clock() + self._terms.rest_minutes * 60 if rests else 0.0
            known.cards[card] = Card(failures, until, reason)
            for key, verdict in known.verdicts.items():
                if verdict.candidate.card == card:  # to be tried again before it is used again
                    known.stamps.pop(key, None)
        log.warning("an encoder failed", card=card, reason=reason, failures=failures, rests=rests)

    def did_well(self, card: str) -> None:
        """A card encoded all that it was given."""
        if card in self._read().cards:
            with self._changing() as known:
                known.cards.pop(card, None)

    # --- trying

    def _tried(self, candidates: Sequence[Candidate], *, again: bool = False) -> list[Verdict]:
        stamps = {one.key: self._stamp(one) for one in candidates}

        def missing() -> list[Candidate]:
            known = self._read()
            return [one for one in candidates if again or known.stamps.get(one.key) != stamps[one.key]]

        if missing():
            with self._lock("trial.lock"), ThreadPoolExecutor(AT_ONCE, "vtid-trial") as pool:
                fresh = list(pool.map(self._try, missing()))  # some may have been tried while this one waited
                with self._changing() as known:
                    for verdict in fresh:
                        known.verdicts[verdict.candidate.key] = verdict
                        known.stamps[verdict.candidate.key] = stamps[verdict.candidate.key]
        verdicts = self._read().verdicts
        return [verdicts[one.key] for one in candidates]

    def _try(self, candidate: Candidate) -> Verdict:
        """In a process of its own: it may crash or hang."""
        began, terms = time.monotonic(), self._terms
        if candidate.encoder.engine == "ffmpeg" and not candidate.ffmpeg:
            words = "needs the ffmpeg of the machine, and there is none; install it, or name it in encoders.ffmpeg"
            return Verdict(candidate, works=False, reason=words, tried_at=self._clock())
        software = candidate.encoder.name if candidate.encoder.family == "software" else ""
        trial = {
            "candidate": candidate,
            "folder": str(self._folder),
            "stall_s": terms.trial_seconds,
            "software": software,
        }
        works, reason, psnr = self._run(msgspec.json.encode(trial), terms.trial_seconds)
        seconds = round(time.monotonic() - began, 3)
        return Verdict(candidate, works, reason, psnr, seconds, self._clock())

    def _run(self, trial: bytes, most_s: float) -> tuple[bool, str | None, float | None]:
        command = [sys.executable, "-P", "-m", "vtid.media.hardware.trial"]
        path = os.pathsep.join([_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env=os.environ | {"PYTHONPATH": path},
                start_new_session=True,
            )
            try:
                answer, _ = process.communicate(trial, timeout=most_s)
            except subprocess.TimeoutExpired:
                return False, f"it hung: nothing came of it in {most_s:g} s", None
            finally:
                _end(process)
            said.seek(0)
            words = _told(said.read().decode("utf-8", "replace"))
        if process.returncode < 0:
            name = signal.Signals(-process.returncode).name
            return False, f"it crashed ({name}){f': {words}' if words else ''}", None
        try:
            found = msgspec.json.decode(answer)
        except msgspec.DecodeError:
            return False, f"trying it failed: {words or 'it said nothing'}", None
        return found["works"], _reason(found["reason"], words), found["psnr"]

    def _stamp(self, candidate: Candidate) -> str:
        """The versions of everything that what came of trying depends on."""
        parts = [__version__, importlib.metadata.version("av"), os.uname().release, repr(candidate)]
        if candidate.encoder.family != "software":
            drivers = [path for pattern in _DRIVERS for path in _matching(pattern)]
            parts += [f"{path}={_content(path)}" for path in drivers]
        if candidate.ffmpeg:
            stat = Path(candidate.ffmpeg).stat()
            parts.append(f"{stat.st_size}:{stat.st_mtime_ns}")
        return "|".join(parts)

    # --- keeping

    def _read(self) -> _Known:
        try:
            return msgspec.json.decode((self._folder / "known.json").read_bytes(), type=_Known)
        except (FileNotFoundError, msgspec.DecodeError):  # of another version: it is found out anew
            return _Known()

    @contextmanager
    def _changing(self) -> Iterator[_Known]:
        with self._lock("known.lock"):
            known = self._read()
            yield known
            staged = self._folder / f"known.{os.getpid()}.part"
            staged.write_bytes(msgspec.json.encode(known))
            staged.replace(self._folder / "known.json")

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        _make(self._folder)
        with (self._folder / name).open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def opened(plugins: Plugins, section: object) -> Encoders:
    """The encoders of this machine, as the section [encoders] has it."""
    return Encoders(plugins, msgspec.convert(section, Terms, from_attributes=True))


def _usual_folder() -> Path:
    """For this user, on this machine: it must not outlive drivers, and is worth nothing elsewhere."""
    return Path(tempfile.gettempdir()) / f"vtid-encoders-{os.getuid()}"


def _make(folder: Path) -> None:
    """The folder, nobody else's: others could hold its locks, or say that a bad encoder works."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stat = folder.lstat()
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}", suggestion="Set encoders.path.") from error
    if stat.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        raise StorageError(f"{folder} is somebody else's.", suggestion="Remove it, or set encoders.path.")


def _matching(pattern: str) -> list[str]:
    return sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")))


def _devices(encoder: Encoder) -> list[str]:
    return sorted({path for pattern in encoder.devices for path in _matching(pattern)})


def _words(encoder: Encoder) -> str:
    return " ".join((*encoder.before, encoder.filters, *encoder.quality.values(), *encoder.rate.values()))


def _content(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""


def _reason(error: str | None, words: str) -> str | None:
    """The driver's own words where it said any, and FFmpeg's name for it; None where all went well."""
    if error is None:
        return None
    error = _PLACE.sub("", error)
    return f"{words} ({error})" if words and words not in error else error


def _told(text: str) -> str:
    """The last that a driver said, in one line; not a traceback's frames, nor where it lies in memory."""
    said = [_PLACE.sub("", line).strip() for line in text.splitlines() if not line.startswith(" ")]
    lines = [line for line in said if line]
    unlike = dict.fromkeys(line for line in lines if not line.startswith("Traceback"))
    return " / ".join([*unlike][-4:])[-_WORDS:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process, and what it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
