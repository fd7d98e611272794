"""What has to be kept and must not lie in the clear: sealed by Fernet, with keys from the data folder's one secret.

The only importer of cryptography, and only once something is sealed: workers start without it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import cached_property
from typing import TYPE_CHECKING

from vtid.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


def derived(secret: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose."""
    return hmac.new(secret, purpose.encode(), hashlib.sha256).digest()


class Seal:
    """Seals bytes for one purpose, and opens them.

    Args:
        secret: of the data folder.
        purpose: what was sealed for one is not opened for another.
    """

    def __init__(self, secret: bytes, purpose: str) -> None:
        self._key = derived(secret, purpose)

    @cached_property
    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet  # noqa: PLC0415

        return Fernet(base64.urlsafe_b64encode(self._key))

    def close(self, content: bytes) -> bytes:
        """What may be stored; each time another."""
        return self._fernet.encrypt(content)

    def open(self, sealed: bytes, within_s: int | None = None) -> bytes | None:
        """What was sealed; None where another secret sealed it, somebody changed it, or it is older than that."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            return self._fernet.decrypt(sealed, ttl=within_s)
        except InvalidToken:
            return None

    def mark(self, content: str) -> str:
        """What is the same for the same content, and helps nobody to guess it: it may hold a password."""
        return derived(self._key, content).hex()


class Sealer:
    """Seals text that is kept in the database, and text that travels and comes back.

    Args:
        secret: of the installation; every process of it has the same.
    """

    def __init__(self, secret: bytes) -> None:
        self._seal = Seal(secret, "sealed values")

    def seal(self, text: str) -> str:
        """Text to keep; each time another."""
        return self._seal.close(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed.

        Raises:
            ConfigError: it was sealed with another key.
        """
        found = self._seal.open(sealed.encode())
        if found is None:
            raise ConfigError(
                "A stored secret cannot be read: secret.key is not the one that it was sealed with.",
                suggestion="Put back the secret.key that belongs to this database.",
            )
        return found.decode()

    def unexpired(self, token: str, seconds: int) -> str | None:
        """What a token that travelled holds; None where it is not ours or is older than that."""
        found = self._seal.open(token.encode(), within_s=seconds)
        return None if found is None else found.decode()
