"""Rules for the links that may be followed."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urljoin, urlsplit

from airflow_provider_veo3.api.json_values import UnusableError
from airflow_provider_veo3.api.redact import redact_url

_AMBIGUOUS: Final = re.compile(r"[\s\\\x00-\x1f\x7f]")
"""Characters that HTTP libraries read differently: the checked host might not be the requested one."""


def is_loopback_url(url: str) -> bool:
    """Return whether a URL leads to this machine, also as ``127.1`` or ``::ffff:127.0.0.1``."""
    try:
        host = (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return False
    if host == "localhost":
        return True
    try:
        address = ip_address(host) if ":" in host else ip_address(socket.inet_aton(host))
    except (ValueError, OSError):
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def safe_join(base_url: str, url: str) -> str:
    """Return a link joined to the URL of its page, if it may be followed.

    Only https is followed; plain http, and a link into this machine, only if found on this machine. A link
    with a name and password in it is not the vendor's.

    :raises UnusableError: the link may not be followed.
    """
    try:
        joined = urljoin(base_url, url)
        parts = urlsplit(joined)
        usable = bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
        usable = usable and "@" not in parts.netloc and not _AMBIGUOUS.search(url)
    except ValueError:
        raise UnusableError(f"its link is malformed: {redact_url(url)[:200]!r}") from None
    allowed = is_loopback_url(base_url) if is_loopback_url(joined) else parts.scheme == "https"
    if not usable or not allowed:
        raise UnusableError(f"its link may not be followed: {redact_url(url)[:200]!r}")
    return joined
