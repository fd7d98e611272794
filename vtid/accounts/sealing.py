"""Sealing what has to be kept and must not lie in the clear: AES and HMAC, as Fernet defines it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


def derived(secret: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose, from the one secret of the data folder."""
    return hmac.new(secret, purpose.encode(), hashlib.sha256).digest()


class Seal:
    """Seals and opens.

    Args:
        secret: of the data folder.
        purpose: what was sealed for one is not opened for another.
    """

    def __init__(self, secret: bytes, purpose: str) -> None:
        self._key = derived(secret, purpose)

    @cached_property
    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - see the package

        return Fernet(base64.urlsafe_b64encode(self._key))

    def close(self, content: bytes) -> bytes:
        """What may be stored."""
        return self._fernet.encrypt(content)

    def open(self, sealed: bytes) -> bytes | None:
        """What was sealed; None where another secret sealed it, or somebody changed it."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            return None

    def mark(self, content: str) -> str:
        """What is the same for the same content, and helps nobody to guess it: it may hold a password."""
        return derived(self._key, content).hex()
