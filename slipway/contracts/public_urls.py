"""URLs that may be asked from AWS: http or https, and no address but a public one."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

MOST = 1000
"""Characters of a URL."""
_TEXT = re.compile(r"[!-~]+")
_NAME = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*"
                   r"[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")  # fmt: skip
"""A host's name; its last part begins with a letter, which no way to write an address does."""
_GLOBAL = ipaddress.ip_network("2000::/3")
_CARRIES_IPV4 = tuple(map(ipaddress.ip_network, ("2002::/16", "2001::/32", "2001:db8::/32")))
"""6to4 and Teredo lead to an IPv4 address that stands in them; the last is for examples."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's: not private, not of this machine, no
    metadata, no group, none that leads to another one.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.is_global and ip in _GLOBAL and not any(ip in net for net in _CARRIES_IPV4)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def parsed_url(url: str) -> SplitResult:
    """The parts of a URL that may be asked. ValueError, with what is wrong, for any other."""
    if len(url) > MOST or not _TEXT.fullmatch(url) or "\\" in url:
        raise ValueError(f"must be at most {MOST} characters of ASCII, without blanks or backslash")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with https:// or http://")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ValueError("must have no user and password")
    if parts.fragment or "#" in url:
        raise ValueError("must have no fragment (#)")
    if not 0 < (80 if parts.port is None else parts.port) < 65536:  # .port raises for no number
        raise ValueError("must have a port from 1 to 65535")
    _check_host(parts.hostname or "")
    return parts


def is_url(url: str) -> bool:
    """Whether `parsed_url` takes it."""
    try:
        parsed_url(url)
    except ValueError:
        return False
    return True


def _check_host(host: str) -> None:
    """A name, or an address as it is usually written: `0x7f.1` and `2130706433` are none."""
    if _NAME.fullmatch(host):
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"must name a host, not {host!r}") from None


def address_in(url: str) -> str | None:
    """The IP address that a URL names in place of a host's name; None: it names one."""
    host = parsed_url(url).hostname or ""
    return None if _NAME.fullmatch(host) else host


def names_this_machine(url: str) -> bool:
    """Whether its host's name is this machine's in any resolver."""
    host = (parsed_url(url).hostname or "").lower()
    return host == "localhost" or host.endswith(".localhost")
