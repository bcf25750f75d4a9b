"""Which links may be followed."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from airflow_provider_veo3.api.reading import UnusableError
from airflow_provider_veo3.api.redact import redact_url


def is_loopback_url(url: str) -> bool:
    """Whether a URL leads to this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def safe_join(base_url: str, url: str) -> str:
    """Join a link to where it was found.

    Only https is followed; plain http, and a link into this machine, only if found on this machine.

    :raises UnusableError: the link may not be followed.
    """
    try:
        joined = urljoin(base_url, url)
        parts = urlsplit(joined)
        usable = bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        raise UnusableError(f"its link is malformed: {redact_url(url)!r}") from None
    allowed = is_loopback_url(base_url) if is_loopback_url(joined) else parts.scheme == "https"
    if not usable or not allowed:
        raise UnusableError(f"its link may not be followed: {redact_url(url)!r}")
    return joined
