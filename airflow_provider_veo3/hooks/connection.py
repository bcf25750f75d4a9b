"""Settings from an Airflow connection or the environment, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from airflow_provider_veo3.api.urls import is_loopback_url
from airflow_provider_veo3.exceptions import Veo3ConnectionConfigError, shown
from airflow_provider_veo3.hooks.connection_form import CONNECTION_TYPE

if TYPE_CHECKING:
    from airflow_provider_veo3.airflow_names import Connection

DEFAULT_CONN_ID: Final = "veo3_default"
DEFAULT_BASE_URL: Final[str] = CONNECTION_TYPE["ui-field-behaviour"]["placeholders"]["host"]
API_KEY_VARIABLE: Final = "VEO3_API_KEY"
BASE_URL_VARIABLE: Final = "VEO3_BASE_URL"

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_LARGEST_PORT: Final = 65535
_ALLOWED_HOST: Final = f"a host such as {DEFAULT_BASE_URL}, without a path; plain http only to this machine"

_QUOTES: Final = ("'", '"')
_WITHOUT_QUOTES: Final = "the value without quotes around it, which env files of Docker and systemd may keep"

_FIELD_NAME: Final = re.compile(r"[A-Za-z_][\w.\[\]-]{0,63}", re.ASCII)
"""Name that needs no quoting in a form, such as ``firstFrame``, ``first-frame`` or ``images[]``."""

_BARE_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""IPv6 address without brackets, as Airflow takes it out of a URI."""

_FIELDS: Final[dict[str, Any]] = CONNECTION_TYPE["conn-fields"]


@dataclass(frozen=True)
class _Source:
    """Place of the settings, for messages.

    :param conn_id: id of the Airflow connection.
    :param variables: environment variable by field, where no connection is defined.
    """

    conn_id: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def place(self, name: str) -> str:
        """Return where a field comes from."""
        if name in self.variables:
            return f"the environment variable {self.variables[name]}"
        return f"{name} of the Airflow connection {shown(self.conn_id)}"


@dataclass(frozen=True)
class ConnectionSettings:
    """A usable connection. It holds the key, so that it cannot be pickled or copied.

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
    key_source: str = ""
    """Place of the key, for messages."""
    is_from_environment: bool = False
    """Whether environment variables serve, as no connection was found."""

    def replaces(self, old: ConnectionSettings) -> bool:
        """Return whether the key or base URL of the same account has changed.

        Settings of the environment are another account's: Airflow calls a connection missing also when it
        cannot read it for a moment.
        """
        is_same_account = self.is_from_environment == old.is_from_environment
        return is_same_account and (self.api_key, self.base_url) != (old.api_key, old.base_url)

    def poll_interval_for(self, of_task: float | None) -> float:
        """Return the poll interval of a task; the connection's where the task sets none.

        :param of_task: seconds that the task sets, if any.
        """
        return self.poll_interval if of_task is None else of_task

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("settings hold the API key and cannot be pickled; pickle the connection's id")


def settings_from_connection(
    conn_id: str, connection: Connection, extra: Mapping[str, Any]
) -> ConnectionSettings:
    """Return the settings of a connection, checked, with defaults for what it leaves out.

    :raises Veo3ConnectionConfigError: another type, no key, an unusable or unsafe base URL, an extra out of
        range.
    """
    source = _Source(conn_id)
    kind = CONNECTION_TYPE["connection-type"]
    parts = [(getattr(connection, name) or "").strip() for name in ("conn_type", "host", "schema", "login")]
    # Airflow takes a whole URI in quotes for the path behind an empty host
    if any(part.startswith(_QUOTES) or part.endswith(_QUOTES) or "//:" in part for part in parts):
        # not shown: the key is a part of it
        raise _unusable(source, "the whole value", "in quotes (not shown)", _WITHOUT_QUOTES)
    if connection.conn_type not in (kind, "generic", None, ""):
        # its password is another service's, and would be sent to this one as the key
        raise _unusable(source, "type", shown(connection.conn_type), f"{kind}, or generic")
    if not isinstance(extra, Mapping):
        raise _unusable(source, "extra", f"a {type(extra).__name__}", f"a JSON object; {_WITHOUT_QUOTES}")
    base_url = _base_url(source, connection.host, connection.schema, connection.port)
    return _settings(source, base_url, connection.password, extra)


def settings_from_environment(environment: Mapping[str, str] = os.environ) -> ConnectionSettings | None:
    """Return the settings from ``VEO3_API_KEY`` and ``VEO3_BASE_URL``; ``None`` without a key."""
    key = environment.get(API_KEY_VARIABLE)
    if not key:
        return None
    source = _Source(DEFAULT_CONN_ID, {"password": API_KEY_VARIABLE, "host": BASE_URL_VARIABLE})
    base_url = _base_url(source, environment.get(BASE_URL_VARIABLE), None, None)
    return _settings(source, base_url, key, {})


def _settings(
    source: _Source, base_url: str, api_key: str | None, extra: Mapping[str, Any]
) -> ConnectionSettings:
    key = (api_key or "").strip()
    if not key:
        raise _unusable(source, "password", "empty", "the API key, which starts with veo3_")
    if key.startswith(_QUOTES) or key.endswith(_QUOTES):
        raise _unusable(source, "password", "in quotes (not shown)", _WITHOUT_QUOTES)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise _unusable(source, "password", "malformed (not shown)", "the API key, without spaces")
    return ConnectionSettings(
        conn_id=source.conn_id,
        key_source=source.place("password"),
        is_from_environment=bool(source.variables),
        base_url=base_url,
        api_key=key,
        request_timeout=_number(source, extra, "request_timeout"),
        requests_per_minute=_number(source, extra, "requests_per_minute"),
        poll_interval=_number(source, extra, "poll_interval"),
        file_fields={
            "first_frame": _name(source, extra, "first_frame_field"),
            "last_frame": _name(source, extra, "last_frame_field"),
        },
    )


def _base_url(source: _Source, host: str | None, schema: str | None, port: int | None) -> str:
    """Return scheme, host and port in one spelling, given as JSON, URI or form.

    A task whose base URL has changed pays again, so that each address has a single spelling.
    """
    scheme, hostname, host_port = _split_host(source, _with_scheme(host, schema))
    # Airflow's UI sends 0 for a port that is left empty when it tests a connection
    port = _checked_port(source, (port or None) if host_port is None else host_port)
    shown_host = f"[{hostname}]" if ":" in hostname else hostname
    shown_port = "" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}"
    url = f"{scheme}://{shown_host}{shown_port}"
    if scheme == "http" and not is_loopback_url(url):
        allowed = f"{_ALLOWED_HOST}, since it would show the key to the network"
        raise _unusable(source, "host", shown(url), allowed)
    return url


def _with_scheme(host: str | None, schema: str | None) -> str:
    """Return the host, or the default one, with a scheme."""
    host = (host or "").strip() or DEFAULT_BASE_URL
    if not host.endswith("://"):
        host = host.rstrip("/")
    if _BARE_IPV6.fullmatch(host):
        host = f"[{host}]"
    return host if "://" in host else f"{(schema or 'https').strip().lower()}://{host}"


def _split_host(source: _Source, url: str) -> tuple[str, str, int | None]:
    """Return scheme, host name and port of a URL that consists of nothing else."""
    if url.rpartition("://")[2].startswith(_QUOTES) or url.endswith(_QUOTES):
        raise _unusable(source, "host", "in quotes", _WITHOUT_QUOTES)
    try:
        parts = urlsplit(url)
        hostname, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise _unusable(source, "host", "malformed", _ALLOWED_HOST) from None
    surplus = bool(parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    if surplus or not re.fullmatch(r"[\w.:%-]+", hostname) or parts.scheme not in _DEFAULT_PORTS:
        public = f"{parts.scheme}://{hostname}{parts.path}"  # without user and password
        raise _unusable(source, "host", shown(public), _ALLOWED_HOST)
    return parts.scheme, hostname, port


def _checked_port(source: _Source, port: int | None) -> int | None:
    if port is not None and not 0 < port <= _LARGEST_PORT:
        raise _unusable(source, "port", shown(port), f"a number from 1 to {_LARGEST_PORT}")
    return port


def _number(source: _Source, extra: Mapping[str, Any], name: str) -> float:
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
        raise _unusable(source, f"extra {name}", shown(value), allowed)
    return number


def _name(source: _Source, extra: Mapping[str, Any], name: str) -> str:
    value = extra.get(name) or _FIELDS[name]["schema"]["default"]
    if isinstance(value, str) and _FIELD_NAME.fullmatch(value):
        return value
    raise _unusable(source, f"extra {name}", shown(value), "the name of a form field, such as firstFrame")


def _unusable(source: _Source, field: str, value: str, allowed: str) -> Veo3ConnectionConfigError:
    if field in source.variables:
        place, what = f"Environment variable {source.variables[field]}", "it"
    else:
        place, what = f"Airflow connection {shown(source.conn_id)}", field
    return Veo3ConnectionConfigError(
        f"{place}: {what} is {value}; allowed: {allowed}. Nothing was sent or spent. "
        "Correct it, then run the task again."
    )
