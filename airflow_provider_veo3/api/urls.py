"""URLs as they are sent, and the rules for the links that may be followed."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from airflow_provider_veo3.api.json_values import UnusableError
from airflow_provider_veo3.api.redact import redact_url
from airflow_provider_veo3.exceptions import shown

_PORTS: Final = {"http": 80, "https": 443}

_ABSOLUTE: Final = re.compile(r"(https?)://([^/?#]+)([^#]*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY: Final = re.compile(r"[\w.:\[\]-]+", re.ASCII)
"""Host and port without anything that HTTP libraries read differently, and without a name and password."""

_NOT_SENDABLE: Final = re.compile(r"[^\x21-\x7e]+")
"""Characters that a request cannot carry; all others go as they are, since a host may have signed them."""


@dataclass(frozen=True)
class Url:
    """Parts of a URL, as a request needs them."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """Name or address in ASCII and lower case; an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query, byte for byte."""

    @classmethod
    def parse(cls, url: str) -> Url:
        """Split an absolute URL; what cannot be sent is escaped, nothing else is changed.

        :raises ValueError: it is not one of http or https, or its host is malformed.
        """
        match = _ABSOLUTE.match(url)
        if match is None:
            raise ValueError("not an http or https URL")
        scheme, authority, target = match[1].lower(), match[2], match[3]
        if not authority.isascii():
            authority = authority.encode("idna").decode()
        parts = urlsplit(f"//{authority}")
        host = (parts.hostname or "").lower()
        if not _AUTHORITY.fullmatch(authority) or not host or parts.port == 0:
            raise ValueError("malformed host")
        if ":" not in host:
            host.encode("idna")  # a label that is empty or too long has no address
        target = escape(target)
        return cls(
            scheme, host, parts.port or _PORTS[scheme], target if target.startswith("/") else f"/{target}"
        )

    @property
    def has_default_port(self) -> bool:
        """Return whether its port is the one of its scheme."""
        return self.port == _PORTS[self.scheme]

    @property
    def is_loopback(self) -> bool:
        """Return whether it leads to this machine, also as ``127.1`` or ``::ffff:127.0.0.1``."""
        host = self.host.removesuffix(".")
        if host == "localhost":
            return True
        try:
            address = ip_address(host) if ":" in host else ip_address(socket.inet_aton(host))
        except (ValueError, OSError):
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address.is_loopback or address.is_unspecified


def escape(text: str) -> str:
    """Return a part of a URL with the characters escaped that cannot be sent."""
    return _NOT_SENDABLE.sub(lambda match: quote(match[0], safe="", errors="replace"), text)


def is_loopback_url(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    try:
        return Url.parse(url).is_loopback
    except ValueError:
        return False


def safe_join(base_url: str, url: str) -> str:
    """Return a link joined to the URL of its page, if it may be followed; else unchanged but for white space.

    Only https is followed; plain http, and a link into this machine, only if found on this machine. A link
    with a name and password in it is not the vendor's.

    :raises UnusableError: the link may not be followed.
    """
    url = url.strip()
    try:
        joined = url if _ABSOLUTE.match(url) else urljoin(base_url, escape(url))
        target = Url.parse(joined)
        allowed = is_loopback_url(base_url) if target.is_loopback else target.scheme == "https"
    except ValueError:
        allowed = False
    if not allowed or not url:
        raise UnusableError(f"its link may not be followed: {shown(redact_url(url))}")
    return joined
