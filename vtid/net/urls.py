"""URLs that strangers give: what they must be before anything is asked of anybody."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx

from vtid.errors import AddressRefused, InvalidInput, Problem
from vtid.net.addresses import Reach, parse_address

MOST = 4096
"""Characters of a URL; presigned ones are long."""


def check_url(text: str, field: str, reach: Reach) -> httpx.URL:
    """A URL that may be asked for, as far as can be told without resolving its name.

    Args:
        text: as it was given.
        field: the place that complaints name.
        reach: which addresses may be reached.

    Raises:
        InvalidInput: it is no http(s) URL, or carries a password.
        AddressRefused: it names an address that must not be reached.
    """
    try:
        url = httpx.URL(text)
        host, port = url.host, url.port
    except (httpx.InvalidURL, ValueError) as error:
        raise _wrong(field, f"is not a URL: {error}") from None
    if len(text) > MOST:
        raise _wrong(field, f"may have {MOST} characters")
    if url.scheme not in ("http", "https"):
        raise _wrong(field, "must begin with http:// or https://")
    if not host or "%" in host:
        raise _wrong(field, "names no host" if not host else f'"{host}" is no host name')
    if port is not None and not 0 < port < 1 << 16:
        raise _wrong(field, "names no port that there is")
    if url.userinfo:
        raise _wrong(field, "must not carry a user name or password")
    address = parse_address(host) or _known(host)
    if address is not None and not reach.permits(host, address):
        raise refused(host, field)
    return url.copy_with(fragment=None)


def _known(host: str) -> IPv4Address | None:
    """The address that every resolver makes of `localhost`, `127.1`, `0x7f000001` and the like; else None."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    if not re.fullmatch(r"(0x[0-9a-fA-F]*|[0-9]+)(\.(0x[0-9a-fA-F]*|[0-9]+)){0,3}", host):
        return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def refused(host: str, field: str) -> AddressRefused:
    """The complaint about an address that must not be reached; it does not say what the name resolved to."""
    words = f"{host} is not an address on the public internet"
    return AddressRefused(
        f"{field}: {words}" if field else words,
        problems=[Problem(field, words, "address_refused")],
        suggestion="The operator can allow it by net.allow.",
    )


def _wrong(field: str, words: str) -> InvalidInput:
    return InvalidInput(f"{field}: {words}", problems=[Problem(field, words, "url")])


def without_query(url: str) -> str:
    """A URL fit for being shown and logged: what may be a key in it is left out."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def filename_of(url: str) -> str:
    """The file name that a URL ends in, or nothing."""
    return PurePosixPath(unquote(urlsplit(url).path)).name
