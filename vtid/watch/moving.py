"""Names given and taken without a moment in which a file has none, or half of one."""

from __future__ import annotations

import errno
from pathlib import Path

from vtid.errors import DiskFull, Unavailable
from vtid.watch import naming


def publish(staged: Path, target: Path) -> None:
    """Give a file its name, unless it is taken. Raises `FileExistsError`.

    A link does it in one step, also on NFS. Where there are no links, the file is looked for first; of two daemons on
    such a share both could then think that they were first.
    """
    try:
        target.hardlink_to(staged)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL):
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(target)) from error
        staged.rename(target)


def move(source: Path, target: Path) -> None:
    """Move a file within its file system to a name that is free: the one that was wanted, or the next one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for name in naming.candidates(target.name):
        place = target.with_name(name)
        try:
            publish(source, place)
        except FileExistsError:
            if place.samefile(source):  # linked just before we were killed
                break
            continue
        break
    source.unlink(missing_ok=True)


class share_errors:  # noqa: N801 - reads as what it is: a block
    """Turn the words of the operating system into ours: a share that is gone comes back."""

    def __enter__(self) -> None:
        """Nothing to do yet."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Translate, but for what callers look for themselves."""
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError | FileExistsError):
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"The disk of {error.filename} is full.", suggestion="Free some space.") from error
            raise Unavailable(f"{error.filename}: {error.strerror}") from error
