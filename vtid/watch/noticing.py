"""Hearing of changes in a folder. What is heard is a hint to look, never a fact: watchers miss things."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

import structlog
import watchfiles

from vtid.errors import NotFound, VtidError
from vtid.storage.buckets import Buckets

log = structlog.get_logger("vtid.watch")
_BUILT_IN = (
    "nfs",
    "nfs4",
    "cifs",
    "smb",
    "smb2",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "virtiofs",
)
_GUESTS = ("vboxsf", "prl_fs", "fuse.vmhgfs-fuse")
_FUSE = ("davfs", "fuse.davfs2", "fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "fuse.s3fs")
REMOTE = frozenset((*_BUILT_IN, *_GUESTS, *_FUSE))
"""File systems whose other users the kernel does not hear."""
WAKE_MS = 500
AGAIN_S = 5.0
"""After so long a server that stopped telling of a bucket is asked again."""
MOST = 10_000
"""Paths that are remembered; of more, only that there was something."""


def file_system(folder: Path) -> str:
    """The type of the file system that a folder is on, as the kernel names it; "" where that is not known."""
    place, best, found = str(folder.resolve()), -1, ""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = before.split()[4].encode().decode("unicode_escape")
        if (place == mount or place.startswith(f"{mount.rstrip('/')}/")) and len(mount) >= best:
            best, found = len(mount), after.split()[0]
    return found


def must_poll(folder: Path) -> bool:
    """Whether a folder lies on a share: there one looks, since nothing is to be heard."""
    return file_system(folder) in REMOTE


class Listening(Protocol):
    """Something that hears of changes in a place, until it is stopped."""

    @property
    def deaf(self) -> bool:
        """Whether it has ended without having been told to."""
        ...

    def start(self) -> None:
        """Begin to listen."""

    def stop(self) -> None:
        """Listen no more."""

    def heard(self) -> tuple[set[str], bool]:
        """Paths in the place at which something happened since the last call; and whether there was more."""


class Listener:
    """Listens to one folder in a thread of its own, until it is stopped or has gone deaf.

    Args:
        root: of the folder.
        ignore: a folder in it that does not count.
        poll: look instead of listen.
        poll_s: how often.
        recursive: whether sub-folders count.
        wake: called when something was heard.
    """

    def __init__(
        self, root: Path, ignore: Path, *, poll: bool, poll_s: float, recursive: bool, wake: threading.Event
    ) -> None:
        self._root = root
        self._ignore = f"{ignore}/"
        self._poll = poll
        self._poll_s = poll_s
        self._recursive = recursive
        self._wake = wake
        self._lock = threading.Lock()
        self._heard: set[str] = set()
        self._overheard = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vtid-listen", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()

    @property
    def deaf(self) -> bool:
        """Whether it has ended without having been told to: the folder went away, or the system has no more watches."""
        return not self._thread.is_alive() and not self._stop.is_set()

    def heard(self) -> tuple[set[str], bool]:
        """Paths, in the folder, at which something happened since the last call; and whether there was more."""
        with self._lock:
            found, more = self._heard, self._overheard
            self._heard, self._overheard = set(), False
        return found, more

    def _run(self) -> None:
        try:
            for changes in watchfiles.watch(
                self._root,
                watch_filter=lambda _, path: not path.startswith(self._ignore),
                debounce=200,
                stop_event=self._stop,
                rust_timeout=WAKE_MS,
                yield_on_timeout=False,
                raise_interrupt=False,
                force_polling=self._poll,
                poll_delay_ms=round(self._poll_s * 1000),
                recursive=self._recursive,
                ignore_permission_denied=True,
            ):
                self._take_in({path for _, path in changes})
        except (OSError, RuntimeError) as error:
            log.warning("cannot listen to a folder, look instead", folder=str(self._root), reason=str(error))

    def _take_in(self, paths: set[str]) -> None:
        prefix = f"{self._root}/"
        with self._lock:
            self._heard |= {p.removeprefix(prefix) for p in paths if p.startswith(prefix)}
            if len(self._heard) > MOST:
                self._heard, self._overheard = set(), True
        self._wake.set()


class BucketListener:
    """Listens to what a server tells of a prefix of a bucket; where it tells nothing, nothing is heard.

    Args:
        buckets: those that jobs may use.
        bucket: one of them.
        prefix: in it.
        wake: called when something was heard.
    """

    deaf = False

    def __init__(self, buckets: Buckets, bucket: str, prefix: str, wake: threading.Event) -> None:
        self._buckets = buckets
        self._bucket = bucket
        self._prefix = prefix
        self._wake = wake
        self._heard = threading.Event()
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._run, name="vtid-listen", daemon=True).start()

    def stop(self) -> None:
        """Listen no more; the connection goes when the server next says that it is alive."""
        self._stop.set()

    def heard(self) -> tuple[set[str], bool]:
        """Only that there was something: which objects, a list of all tells."""
        found = self._heard.is_set()
        self._heard.clear()
        return set(), found

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                for something in self._buckets.heard(self._bucket, self._prefix):
                    if self._stop.is_set():
                        return
                    if something:
                        self._heard.set()
                        self._wake.set()
            except NotFound:
                log.info("a bucket's server tells nothing of changes: it is listed", bucket=self._bucket)
                return
            except VtidError as error:
                log.warning("a bucket's server tells nothing now", bucket=self._bucket, reason=error.message)
            self._heard.set()  # what happened while nobody listened
            self._stop.wait(AGAIN_S)
