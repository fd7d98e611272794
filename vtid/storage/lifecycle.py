"""The bucket's own broom: a rule by which it forgets what lies under `temp/`, and uploads that were never completed."""

from __future__ import annotations

from minio.commonconfig import ENABLED, Filter
from minio.error import S3Error
from minio.lifecycleconfig import AbortIncompleteMultipartUpload, Expiration, LifecycleConfig, Rule

from vtid.errors import StorageError
from vtid.storage.remote import remote_errors
from vtid.storage.s3 import S3Storage

RULE = "vtid-temp"
NOT_BUILT = frozenset({"NotImplemented", "MethodNotAllowed", "InvalidRequest"})


def is_tidy(storage: S3Storage) -> bool:
    """Whether the rule is there."""
    try:
        return any(rule.rule_id == RULE for rule in _rules(storage))
    except StorageError:
        return False


def make_tidy(storage: S3Storage, days: int) -> None:
    """Set the rule beside those that the bucket has.

    Args:
        storage: in the bucket.
        days: after which leftovers go; more than an upload may take.

    Raises:
        StorageError: the server has no such rules, or does not let this account set them.
    """
    mine = Rule(
        ENABLED,
        rule_filter=Filter(prefix="temp/"),
        rule_id=RULE,
        expiration=Expiration(days=days),
        abort_incomplete_multipart_upload=AbortIncompleteMultipartUpload(days_after_initiation=days),
    )
    others = [rule for rule in _rules(storage) if rule.rule_id != RULE]
    with remote_errors(storage.bucket, ""):
        storage.client.set_bucket_lifecycle(storage.bucket, LifecycleConfig([*others, mine]))
    if not is_tidy(storage):
        raise StorageError(f"The server took the lifecycle rule of {storage.bucket}, and does not keep it.")


def _rules(storage: S3Storage) -> list[Rule]:
    with remote_errors(storage.bucket, "", let_through=S3Error):
        try:
            found = storage.client.get_bucket_lifecycle(storage.bucket)
        except S3Error as error:
            if error.code in NOT_BUILT:
                raise StorageError(f"The server of {storage.bucket} has no lifecycle rules.") from error
            with remote_errors(storage.bucket, ""):
                raise
    return list(found.rules) if found else []
