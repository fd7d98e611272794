"""What must be readable again and may not lie in the clear: sealed, with a key made from the data folder's own."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vtid.errors import ConfigError


class Sealer:
    """Seals text and opens it again. What is sealed cannot be read or changed without the key.

    Args:
        secret: of the installation; every process of it has the same.
    """

    def __init__(self, secret: bytes) -> None:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"vtid sealed values").derive(secret)
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, text: str) -> str:
        """Text to keep; each time another."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed.

        Raises:
            ConfigError: it was sealed with another key.
        """
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise ConfigError(
                "A stored secret cannot be read: secret.key is not the one that it was sealed with.",
                suggestion="Put back the secret.key that belongs to this database.",
            ) from None

    def unexpired(self, token: str, seconds: int) -> str | None:
        """What a token that travelled holds; None where it is not ours or is older than that."""
        try:
            return self._fernet.decrypt(token.encode(), ttl=seconds).decode()
        except (InvalidToken, UnicodeError):
            return None
