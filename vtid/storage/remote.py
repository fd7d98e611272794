"""A server that speaks S3: the connection to it, and what its errors mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import certifi
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from vtid.errors import NotFound, StorageError

CONNECTIONS = 32
CONNECT_S, ANSWER_S = 3.0, 60.0
RETRIES = 3
_NOT_THERE = frozenset({"NoSuchKey", "NoSuchUpload", "NoSuchObject", "NotFound"})
_REFUSED = frozenset(
    {"AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "AllAccessDisabled"}
)


def connect(endpoint: str, region: str, access_key: str, secret_key: str) -> Minio:
    """A client. Nothing is sent yet.

    Args:
        endpoint: `https://HOST[:PORT]`.
        region: always given, so that links are made without asking the server for it.
        access_key: names the account.
        secret_key: signs.
    """
    url = urlsplit(endpoint)
    pool = PoolManager(
        timeout=Timeout(connect=CONNECT_S, read=ANSWER_S),
        maxsize=CONNECTIONS,
        block=False,
        cert_reqs="CERT_REQUIRED",
        ca_certs=certifi.where(),
        # Every request may be repeated: parts replace themselves, and what is stored is the same again.
        retries=Retry(RETRIES, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504), allowed_methods=None),
    )
    secure = url.scheme == "https"
    return Minio(url.netloc, access_key, secret_key, secure=secure, region=region, http_client=pool)


@contextlib.contextmanager
def remote_errors(bucket: str, key: str, *, let_through: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Turn the server's words into ours; credentials are in none of them.

    Args:
        bucket: that was asked.
        key: of the file that it was about; "" for none.
        let_through: errors that the caller deals with.
    """
    try:
        yield
    except let_through:
        raise
    except S3Error as error:
        raise _meaning(error, bucket, key) from error
    except (InvalidResponseError, MinioException) as error:
        raise StorageError(f"The storage of the bucket {bucket} failed: {error}") from error
    except HTTPError as error:
        reason = getattr(error, "reason", None) or error
        raise StorageError(f"The storage of the bucket {bucket} does not answer: {type(reason).__name__}.") from error


def _meaning(error: S3Error, bucket: str, key: str) -> Exception:
    if error.code == "NoSuchBucket":
        return StorageError(
            f"There is no bucket {bucket}.", suggestion="Make it, or name another in storage.bucket of vtid.toml."
        )
    if error.code in _NOT_THERE:
        return NotFound(f"There is no stored file {key}.")
    if error.code in _REFUSED:
        return StorageError(
            f"The storage refuses access to the bucket {bucket} ({error.code}).",
            suggestion="Look at storage.access_key, storage.secret_key and what they may do.",
        )
    return StorageError(f"The storage of the bucket {bucket} failed: {error.code}: {error.message}")
