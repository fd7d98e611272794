"""The data folder: its owner's alone, with the secret of this daemon in it."""

from __future__ import annotations

import os
import secrets
import uuid
from pathlib import Path

from vtid.errors import StorageError

OWN_FOLDERS = ("files", "incoming", "probe", "work")
"""What vtid makes in the data folder, which may be one that somebody made before and that others may look into."""


def open_folder(data: Path) -> bytes:
    """Make the data folder where it is not there.

    Returns:
        What signs URLs, tokens and queue messages: made once with the folder, readable by its owner alone.

    Raises:
        StorageError: it cannot be made.
    """
    path = data / "secret.key"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)  # other users of this machine have no business there
        for name in OWN_FOLDERS:
            (data / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The data folder {data} cannot be made: {error.strerror}") from error
    if not path.exists():
        staged = path.with_suffix(f".{uuid.uuid4().hex}")
        staged.touch(mode=0o600)
        staged.write_bytes(secrets.token_bytes(32))
        try:
            os.link(staged, path)  # of two first starts at once, one key wins
        except FileExistsError:
            pass
        finally:
            staged.unlink()
    return path.read_bytes()
