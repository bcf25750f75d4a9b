"""Read an Airflow connection: the one place that knows where each setting stands."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from airflow_provider_veo3.api.urls import is_loopback_url
from airflow_provider_veo3.exceptions import Veo3ConnectionConfigError
from airflow_provider_veo3.hooks.connection_form import CONNECTION_TYPE

DEFAULT_CONN_ID: Final = "veo3_default"
DEFAULT_BASE_URL: Final = "https://api.veo3gen.co"
API_KEY_VARIABLE: Final = "VEO3_API_KEY"
BASE_URL_VARIABLE: Final = "VEO3_BASE_URL"

_PORTS: Final = {"https": 443, "http": 80}
"""The port of each scheme that a URL need not name."""

_FIELD_NAME: Final = re.compile(r"[A-Za-z_][\w.\[\]-]{0,63}", re.ASCII)
"""A name that needs no quoting in a form, such as ``firstFrame``, ``first-frame`` or ``images[]``."""

_FIELDS: Final[dict[str, Any]] = CONNECTION_TYPE["conn-fields"]


class AirflowConnection(Protocol):
    """What is read of Airflow's ``Connection``."""

    conn_type: str | None
    host: str | None
    schema: str | None
    port: int | None
    password: str | None


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
    conn_id: str, connection: AirflowConnection, extra: Mapping[str, Any]
) -> ConnectionSettings:
    """Check a connection and fill in what it leaves open.

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
    """Build the default connection from ``VEO3_API_KEY`` and ``VEO3_BASE_URL``; ``None`` without a key."""
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
    """Join host, scheme and port, however they were given: as JSON, as a URI or in the form."""
    host = (host or "").strip() or DEFAULT_BASE_URL
    if not host.endswith("://"):
        host = host.rstrip("/")
    if re.fullmatch(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", host):
        host = f"[{host}]"  # an IPv6 address as Airflow takes it out of a URI
    if "://" not in host:
        host = f"{(schema or 'https').strip().lower()}://{host}"
    allowed = "a host such as https://api.veo3gen.co, without a path; plain http only to this machine"
    try:
        parts = urlsplit(host)
        hostname, own_port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise _unusable(conn_id, "host", "malformed", allowed) from None
    surplus = bool(parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    if surplus or not re.fullmatch(r"[\w.:%-]+", hostname) or parts.scheme not in ("http", "https"):
        raise _unusable(conn_id, "host", repr(f"{parts.scheme}://{hostname}{parts.path}"), allowed)
    # Airflow's UI sends 0 for a port that is left empty when it tests a connection
    at = (port or None) if own_port is None else own_port
    if at is not None and not 0 < at <= 65535:  # noqa: PLR2004 - TCP
        raise _unusable(conn_id, "port", repr(at), "a number from 1 to 65535")
    # the same place however it is written: a task whose connection leads elsewhere by now would pay again
    at = None if at == _PORTS[parts.scheme] else at
    name = f"[{hostname}]" if ":" in hostname else hostname
    url = f"{parts.scheme}://{name}" if at is None else f"{parts.scheme}://{name}:{at}"
    if parts.scheme == "http" and not is_loopback_url(url):
        raise _unusable(conn_id, "host", repr(url), f"{allowed}, since it would show the key to the network")
    return url


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
        f"Airflow connection {conn_id!r}: {field} is {value}; allowed: {allowed}. Nothing was sent."
    )
