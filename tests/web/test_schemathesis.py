"""Requests made from the OpenAPI document: none crashes the daemon, none is answered as nobody said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import PATIENCE_S
from tests.web.site import Site


@schemathesis.serializer("application/offset+octet-stream")
def _bytes(_context: Any, value: Any) -> Any:
    return value if isinstance(value, bytes) else str(value).encode()


CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def operations(site: Site) -> list[Any]:
    document = site.http.get("/schema/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=site.url)
    return [found.ok() for found in schema.get_all_operations()]


def _insist(ask: Callable[[], None], times: int = 8) -> None:
    """Ask, and with another seed where it was the making of requests that came out otherwise the second time.

    That is schemathesis' own (its strategies look at what is not drawn); no answer was judged then.
    """
    for seed in range(times):
        try:
            hypothesis.seed(seed)(ask)()
        except hypothesis.errors.FlakyFailure as error:
            _, other = error.split(hypothesis.errors.FlakyStrategyDefinition)
            if other is not None or seed == times - 1:
                raise
        else:
            return


def _told(error: BaseException) -> str:
    """An error's words, and of a group those of each."""
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "; ".join([str(error)[:1500], *map(_told, inner)])


# The site lives in a thread of this process and draws its jitter while Hypothesis draws its examples.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.slow
def test_nothing_crashes_and_nothing_is_undocumented(site: Site) -> None:
    found = operations(site)
    assert len(found) > 25
    failures: list[str] = []
    for operation in found:
        if "text/event-stream" in str(operation.definition.raw):  # a stream does not end while its job waits
            continue

        @hypothesis.settings(
            max_examples=25,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, session=None, headers=site.auth, timeout=PATIENCE_S)

        try:
            _insist(ask)
        except (AssertionError, BaseExceptionGroup, schemathesis.errors.SchemathesisError) as error:
            failures.append(f"{operation.label}: {_told(error)}")
    assert not failures, "\n\n".join(failures)
