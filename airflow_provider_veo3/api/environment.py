"""Trusted certificates and proxies from the environment, for worker and triggerer alike.

This is the only module that reads them, for the API and for the file host alike:

* Certificates: the first of ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` (a file or a folder) and
  ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` (both together) that is set and not empty; otherwise those of the
  system and those of the package ``certifi``.
* Proxies: ``https_proxy`` or ``HTTPS_PROXY`` (``http_proxy`` or ``HTTP_PROXY`` for plain http), otherwise
  ``all_proxy`` or ``ALL_PROXY``; ``http://``, ``https://`` and, with the package ``socksio``, ``socks5://``
  and ``socks5h://``. ``no_proxy`` or ``NO_PROXY`` lists what is reached directly: ``*``, names with all that
  end in them, addresses, and ranges such as ``10.0.0.0/8`` and ``fd00::/8``; each with a port if only that
  is meant. Of two spellings the one in lower case counts, also if it is empty. This machine is never reached
  through a proxy.

Neither ``.netrc`` nor a cookie or any other credential is read.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import ssl
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from airflow_provider_veo3.exceptions import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_veo3.api.urls import Url

BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name a file or a folder of certificates; the first one that is set counts."""

OPENSSL: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""OpenSSL's variables, which count together where none of ``BUNDLES`` is set."""

CERTIFICATES: Final = ", ".join((*BUNDLES, *OPENSSL[:1]))
"""Variables that may name a file of certificates, for a message."""

EVERYWHERE: Final = "for the workers and the triggerer alike"

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_ANY_PORT: Final = re.compile(r"(\[.*\]|[^:]*):(\d+)")


class SettingError(Exception):
    """A setting of the environment that cannot be used.

    :param reason: clause that names the variable, its value and the trouble.
    :param advice: sentence that says what to do next.
    """

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the variable that names it."""

    variable: str
    scheme: str
    host: str
    port: int
    auth: tuple[bytes, bytes] | None = field(default=None, repr=False)
    """Name and password for the proxy itself."""

    @property
    def is_socks(self) -> bool:
        """Return whether it speaks SOCKS."""
        return self.scheme.startswith("socks")

    @property
    def url(self) -> str:
        """Return its URL, without name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        """Describe it for a message."""
        return f"the proxy {self.url}, which {self.variable} names"


def proxy_of(url: Url, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy for a URL; ``None`` to connect directly.

    :raises SettingError: a variable names no proxy that can be used.
    """
    if url.is_loopback:
        return None
    for kind in (url.scheme, "all"):
        variable, value = _variable(f"{kind}_proxy", environment)
        if value:
            exceptions = _variable("no_proxy", environment)[1]
            return None if is_excepted(url, exceptions) else _parse_proxy(variable, value)
    return None


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the name and the value of a variable that is set in either case; an empty value if in none."""
    spelling = next((each for each in (name, name.upper()) if each in environment), name)
    return spelling, environment.get(spelling, "").strip()


def is_excepted(url: Url, no_proxy: str) -> bool:
    """Return whether a value of ``NO_PROXY`` lists the host of a URL."""
    return any(_lists(entry.lower(), url) for entry in re.split(r"[\s,]+", no_proxy) if entry)


def _lists(entry: str, url: Url) -> bool:
    """Return whether an entry, in lower case, means the host of a URL."""
    match = _ANY_PORT.fullmatch(entry)
    if match:
        entry = match[1]
        if int(match[2]) != url.port:
            return False
    name = entry.removeprefix("*").strip(".[]").replace("]/", "/")
    host = url.host.removesuffix(".")
    if entry == "*" or host == name:
        return True
    address = _address(host)
    if address is None:
        return bool(name) and host.endswith(f".{name}")
    try:
        return address in ip_network(name, strict=False)
    except ValueError:
        return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _parse_proxy(variable: str, value: str) -> Proxy:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname or "", parts.port
        known = parts.scheme in _PORTS and host.isascii() and host.isprintable() and " " not in host
    except ValueError:
        known, host = False, ""
    value = re.sub(r"(://|^)[^@]*(?=@)", r"\1***", value) if value.count("@") < 2 else "***"  # noqa: PLR2004
    if not known or not host:
        raise _unusable(variable, value, "is no proxy that can be used", "an http, https or socks5 URL")
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise _unusable(
            variable,
            value,
            "is a SOCKS proxy, for which the package socksio is missing",
            "an http or https proxy, or install it (pip install socksio)",
        )
    auth = None
    if parts.username is not None:
        auth = (unquote(parts.username).encode(), unquote(parts.password or "").encode())
    return Proxy(variable, parts.scheme, host, port or _PORTS[parts.scheme], auth)


def _unusable(variable: str, value: str, trouble: str, allowed: str) -> SettingError:
    return SettingError(
        f"the environment variable {variable}={shown(value)} {trouble}",
        f"Set {variable} to {allowed}, or unset it, {EVERYWHERE}.",
    )


def trusted_certificates(environment: Mapping[str, str] = os.environ) -> str:
    """Return where the trusted certificates come from, for a message."""
    found = [f"{name}={shown(path)}" for name, path in _certificate_paths(environment)]
    return " and ".join(found) or "the system and the package certifi"


def tls_context(environment: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Return the settings of TLS connections, with the trusted certificates.

    :raises SettingError: a variable names no certificates that can be read.
    """
    paths = _certificate_paths(environment)
    return _tls_context(tuple((name, path, _changed_at(path)) for name, path in paths))


def _certificate_paths(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the variables that name the trusted certificates, and their values."""
    for names in (*((name,) for name in BUNDLES), OPENSSL):
        found = [(name, value) for name in names if (value := environment.get(name, "").strip())]
        if found:
            return found
    return []


def _changed_at(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except (OSError, ValueError):
        return 0.0


@functools.lru_cache(maxsize=4)  # reading them takes as long as a request
def _tls_context(paths: tuple[tuple[str, str, float], ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a bundle may hold only the authority that signs
    context.set_alpn_protocols(["http/1.1"])
    if not paths:
        import certifi

        context.load_default_certs()
        context.load_verify_locations(certifi.where())
    for name, path, _ in paths:
        for each in path.split(os.pathsep) if name == "SSL_CERT_DIR" else [path]:
            _load(context, name, each)
    return context


def _load(context: ssl.SSLContext, name: str, path: str) -> None:
    try:
        if Path(path).is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        trouble = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise _unusable(name, path, trouble, "a file or folder of certificates (PEM)") from error
