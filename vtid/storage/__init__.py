"""Where files are kept: one protocol, behind it a folder or a bucket of a server that speaks S3."""

from vtid.storage.base import DirectPart, DirectUploads, Stat, Storage, Writer
from vtid.storage.links import Links
from vtid.storage.local import LocalStorage
from vtid.storage.room import Room

__all__ = ["DirectPart", "DirectUploads", "Links", "LocalStorage", "Room", "Stat", "Storage", "Writer"]
