"""Where files are kept: one protocol, a folder behind it (and S3-compatible servers later)."""

from vtid.storage.base import Stat, Storage, Writer
from vtid.storage.local import LocalStorage

__all__ = ["LocalStorage", "Stat", "Storage", "Writer"]
