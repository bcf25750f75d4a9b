"""Settings from an Airflow connection or the environment, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from airflow_provider_veo3.api.urls import is_loopback_url
from airflow_provider_veo3.exceptions import Veo3ConnectionConfigError
from airflow_provider_veo3.hooks.connection_form import CONNECTION_TYPE

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

DEFAULT_CONN_ID: Final = "veo3_default"
DEFAULT_BASE_URL: Final[str] = CONNECTION_TYPE["ui-field-behaviour"]["placeholders"]["host"]
API_KEY_VARIABLE: Final = "VEO3_API_KEY"
BASE_URL_VARIABLE: Final = "VEO3_BASE_URL"

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_LARGEST_PORT: Final = 65535
_ALLOWED_HOST: Final = f"a host such as {DEFAULT_BASE_URL}, without a path; plain http only to this machine"

_FIELD_NAME: Final = re.compile(r"[A-Za-z_][\w.\[\]-]{0,63}", re.ASCII)
"""Name that needs no quoting in a form, such as ``firstFrame``, ``first-frame`` or ``images[]``."""

_BARE_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""IPv6 address without brackets, as Airflow takes it out of a URI."""

_FIELDS: Final[dict[str, Any]] = CONNECTION_TYPE["conn-fields"]


@dataclass(frozen=True)
class ConnectionSettings:
    """A usable connection.

    :param conn_id: its id, for messages.
    :param base_url: scheme, host and port of the API.
    :param api_key: the key, hidden wherever the settings are printed.
    :param request_timeout: seconds, 1 to 600.
    :param requests_per_minute: 1 to 100000.
    :param poll_interval: seconds, 1 to 3600.
    :param file_fields: form field by image role, for the endpoint whose field names are not documented.
    """

    conn_id: str
    base_url: str
    api_key: str = field(repr=False)
    request_timeout: float
    requests_per_minute: float
    poll_interval: float
    file_fields: Mapping[str, str]


def settings_from_connection(
    conn_id: str, connection: Connection, extra: Mapping[str, Any]
) -> ConnectionSettings:
    """Return the settings of a connection, checked, with defaults for what it leaves out.

    :raises Veo3ConnectionConfigError: another type, no key, an unusable or unsafe base URL, an extra out of
        range.
    """
    kind = CONNECTION_TYPE["connection-type"]
    if connection.conn_type not in (kind, "generic", None, ""):
        # its password is another service's, and would be sent to this one as the key
        raise _unusable(conn_id, "its type", repr(connection.conn_type), f"{kind}, or generic")
    if not isinstance(extra, Mapping):
        raise _unusable(conn_id, "extra", f"a {type(extra).__name__}", "a JSON object")
    base_url = _base_url(conn_id, connection.host, connection.schema, connection.port)
    return _settings(conn_id, base_url, connection.password, extra)


def settings_from_environment(environment: Mapping[str, str] = os.environ) -> ConnectionSettings | None:
    """Return the settings from ``VEO3_API_KEY`` and ``VEO3_BASE_URL``; ``None`` without a key."""
    key = environment.get(API_KEY_VARIABLE)
    if not key:
        return None
    base_url = _base_url(DEFAULT_CONN_ID, environment.get(BASE_URL_VARIABLE), None, None)
    return _settings(DEFAULT_CONN_ID, base_url, key, {})


def _settings(
    conn_id: str, base_url: str, api_key: str | None, extra: Mapping[str, Any]
) -> ConnectionSettings:
    key = (api_key or "").strip()
    if not key:
        raise _unusable(conn_id, "password", "empty", "the API key, which starts with veo3_")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise _unusable(conn_id, "password", "malformed (not shown)", "the API key, without spaces")
    return ConnectionSettings(
        conn_id=conn_id,
        base_url=base_url,
        api_key=key,
        request_timeout=_number(conn_id, extra, "request_timeout"),
        requests_per_minute=_number(conn_id, extra, "requests_per_minute"),
        poll_interval=_number(conn_id, extra, "poll_interval"),
        file_fields={
            "first_frame": _name(conn_id, extra, "first_frame_field"),
            "last_frame": _name(conn_id, extra, "last_frame_field"),
        },
    )


def _base_url(conn_id: str, host: str | None, schema: str | None, port: int | None) -> str:
    """Return scheme, host and port in one spelling, given as JSON, URI or form.

    A task whose base URL has changed pays again, so that each address has a single spelling.
    """
    scheme, hostname, host_port = _split_host(conn_id, _with_scheme(host, schema))
    # Airflow's UI sends 0 for a port that is left empty when it tests a connection
    port = _checked_port(conn_id, (port or None) if host_port is None else host_port)
    shown_host = f"[{hostname}]" if ":" in hostname else hostname
    shown_port = "" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}"
    url = f"{scheme}://{shown_host}{shown_port}"
    if scheme == "http" and not is_loopback_url(url):
        allowed = f"{_ALLOWED_HOST}, since it would show the key to the network"
        raise _unusable(conn_id, "host", repr(url), allowed)
    return url


def _with_scheme(host: str | None, schema: str | None) -> str:
    """Return the host, or the default one, with a scheme."""
    host = (host or "").strip() or DEFAULT_BASE_URL
    if not host.endswith("://"):
        host = host.rstrip("/")
    if _BARE_IPV6.fullmatch(host):
        host = f"[{host}]"
    return host if "://" in host else f"{(schema or 'https').strip().lower()}://{host}"


def _split_host(conn_id: str, url: str) -> tuple[str, str, int | None]:
    """Return scheme, host name and port of a URL that consists of nothing else."""
    try:
        parts = urlsplit(url)
        hostname, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise _unusable(conn_id, "host", "malformed", _ALLOWED_HOST) from None
    surplus = bool(parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    if surplus or not re.fullmatch(r"[\w.:%-]+", hostname) or parts.scheme not in _DEFAULT_PORTS:
        shown = f"{parts.scheme}://{hostname}{parts.path}"  # without user and password
        raise _unusable(conn_id, "host", repr(shown), _ALLOWED_HOST)
    return parts.scheme, hostname, port


def _checked_port(conn_id: str, port: int | None) -> int | None:
    if port is not None and not 0 < port <= _LARGEST_PORT:
        raise _unusable(conn_id, "port", repr(port), f"a number from 1 to {_LARGEST_PORT}")
    return port


def _number(conn_id: str, extra: Mapping[str, Any], name: str) -> float:
    rule = _FIELDS[name]["schema"]
    value = extra.get(name)
    if value is None or value == "":
        return float(rule["default"])
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not rule["minimum"] <= number <= rule["maximum"]:
        allowed = f"a number from {rule['minimum']} to {rule['maximum']}"
        raise _unusable(conn_id, f"extra {name}", repr(value), allowed)
    return number


def _name(conn_id: str, extra: Mapping[str, Any], name: str) -> str:
    value = extra.get(name) or _FIELDS[name]["schema"]["default"]
    if isinstance(value, str) and _FIELD_NAME.fullmatch(value):
        return value
    raise _unusable(conn_id, f"extra {name}", repr(value), "the name of a form field, such as firstFrame")


def _unusable(conn_id: str, field: str, value: str, allowed: str) -> Veo3ConnectionConfigError:
    return Veo3ConnectionConfigError(
        f"Airflow connection {conn_id!r}: {field} is {value}; allowed: {allowed}. Nothing was sent or spent. "
        "Correct the connection, then run the task again."
    )
