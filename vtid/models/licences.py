"""What a licence says about commercial use, as far as its name tells. No legal advice: what is not sure is asked."""

from __future__ import annotations

import re

from vtid.errors import InvalidInput, Problem

_FREE = re.compile(
    r"(0bsd|apache-[\d.]+|artistic-[\d.]+|bsd-\d-clause(-[\w.]+)?|bsl-1\.0|cc0-1\.0|cc-by(-sa)?-[\d.]+|cdla-[\w.-]+"
    r"|ecl-2\.0|epl-[\d.]+|eupl-[\d.]+|isc|mit(-0)?|mpl-[\d.]+|ms-pl|ncsa|ofl-1\.1|unlicense|wtfpl|zlib"
    r"|(a|l)?gpl-[\d.]+(-only|-or-later|\+)?|public domain)",
    re.IGNORECASE,
)
"""SPDX identifiers of licences under which anybody may use a work for money."""
_NOT_FREE = re.compile(
    r"(^|[^a-z])nc([^a-z]|$)|non-?\s?commercial|research|academic|educational|evaluation|s-lab|prosperity",
    re.IGNORECASE,
)
"""Words in the names of licences under which one may not: CC-BY-NC-4.0, S-Lab-1.0, PolyForm-Noncommercial-1.0.0."""
_NOT_NAMED = {"", "?", "-", "none", "unknown", "unlicensed", "other", "n/a", "tbd", "noassertion"}


def allows_commerce(licence: str, claim: bool | None = None) -> bool:
    """Whether a work under this licence may be used commercially.

    Args:
        licence: an SPDX identifier or expression (`MIT OR CC-BY-NC-4.0`), or any name.
        claim: what the operator says of it, which decides where the name does not tell.

    Raises:
        InvalidInput: the licence is not named, or only the operator can know, or the name says the opposite.
    """
    if licence.strip().lower() in _NOT_NAMED:
        raise _refused(
            "a model needs the name of its licence",
            'Look it up where the file comes from; for a licence of your own: --license "agreement of …" --commercial.',
        )
    told = _told(licence)
    if told is None:
        if claim is None:
            raise _refused(
                f'what "{licence}" allows is not known here',
                "Read it, then say --commercial or --non-commercial.",
            )
        return claim
    if claim is True and not told:
        raise _refused(
            f'"{licence}" is a licence for non-commercial use',
            "Where you have another agreement with the owner, name that one as the licence.",
        )
    return told and claim is not False


def _told(licence: str) -> bool | None:
    """What the name says: of licences to choose from, the best; of licences that hold together, the worst."""
    text = licence.strip().strip("()")
    for word, wins in (("OR", True), ("AND", False)):
        parts = re.split(rf"\s+{word}\s+", text)
        if len(parts) > 1:
            known = {_told(part) for part in parts}
            return wins if wins in known else None if None in known else not wins
    text = re.split(r"\s+WITH\s+", text)[0]
    if _FREE.fullmatch(text):
        return True
    return False if _NOT_FREE.search(text) else None


def _refused(message: str, suggestion: str) -> InvalidInput:
    return InvalidInput(f"--license: {message}.", problems=[Problem("--license", message)], suggestion=suggestion)
