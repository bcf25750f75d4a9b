"""The Airflow connection, through real Airflow connections in each style."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import Connection
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.airflow_names import AirflowNotFoundException
from airflow_provider_veo3.exceptions import Veo3ConnectionConfigError
from airflow_provider_veo3.hooks.connection import (
    ConnectionSettings,
    settings_from_connection,
    settings_from_environment,
)
from airflow_provider_veo3.hooks.connection_form import CONNECTION_TYPE
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from tests.support.airflow_versions import AIRFLOW

KEY = "veo3_thesecretkey"


def from_variable(
    monkeypatch: pytest.MonkeyPatch, value: str, conn_id: str = "veo3_default"
) -> ConnectionSettings:
    """Read a connection that is defined as an environment variable."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)
    return Veo3Hook(conn_id).settings


def from_fields(**fields: Any) -> ConnectionSettings:
    """Read a connection as the form, or the database, gives it."""
    fields = {"password": KEY, **fields}
    connection = Connection(conn_id="c", conn_type="veo3", **fields)
    return settings_from_connection("c", connection, connection.extra_dejson)


def as_json(**fields: Any) -> str:
    return json.dumps({"conn_type": "veo3", "password": KEY, **fields})


ADDRESSES = [
    ({}, "https://api.veo3gen.co"),
    ({"host": ""}, "https://api.veo3gen.co"),
    ({"host": "  "}, "https://api.veo3gen.co"),
    ({"host": "api.example.com"}, "https://api.example.com"),
    ({"host": " https://api.example.com/ "}, "https://api.example.com"),
    ({"host": "HTTPS://API.example.com"}, "https://api.example.com"),
    ({"host": "https://api.example.com:8443"}, "https://api.example.com:8443"),
    ({"host": "https://api.example.com", "port": 8443}, "https://api.example.com:8443"),
    ({"host": "https://api.example.com:1", "port": 2}, "https://api.example.com:1"),
    ({"host": "api.example.com:8443"}, "https://api.example.com:8443"),
    ({"host": "api.example.com", "port": 8443, "schema": "HTTPS"}, "https://api.example.com:8443"),
    ({"host": "https://api.example.com", "schema": "http"}, "https://api.example.com"),
    ({"host": "127.0.0.1", "port": 8000, "schema": "http"}, "http://127.0.0.1:8000"),
    ({"host": "http://localhost:8000"}, "http://localhost:8000"),
    ({"host": "localhost", "schema": "http"}, "http://localhost"),
    ({"host": "http://[::1]:8000"}, "http://[::1]:8000"),
    ({"host": "[::1]", "port": 8000, "schema": "http"}, "http://[::1]:8000"),
    ({"host": "::1", "port": 8000, "schema": "http"}, "http://[::1]:8000"),
    ({"host": "2001:db8::1"}, "https://[2001:db8::1]"),
    ({"port": 8443}, "https://api.veo3gen.co:8443"),
    ({"port": 443}, "https://api.veo3gen.co"),  # which Airflow's test button wants: the same place
    ({"host": "HTTPS://API.veo3gen.co:443/"}, "https://api.veo3gen.co"),
    ({"host": "api.veo3gen.co."}, "https://api.veo3gen.co"),
    ({"host": "https://api.veo3gen.co.:443/"}, "https://api.veo3gen.co"),
    ({"host": "127.0.0.1", "port": 80, "schema": "http"}, "http://127.0.0.1"),
    ({"host": "http://127.0.0.1:443"}, "http://127.0.0.1:443"),
    ({"port": 0}, "https://api.veo3gen.co"),  # what Airflow's UI sends for an empty field
    ({"host": "http://127.0.0.1:8000", "port": 0}, "http://127.0.0.1:8000"),
]


@pytest.mark.parametrize(("fields", "base_url"), ADDRESSES)
def test_an_address_as_json_and_in_the_form(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], base_url: str
) -> None:
    assert from_variable(monkeypatch, as_json(**fields)).base_url == base_url
    assert from_fields(**fields).base_url == base_url


@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        (f"veo3://:{KEY}@", "https://api.veo3gen.co"),
        (f"veo3://:{KEY}@/", "https://api.veo3gen.co"),
        (f"veo3://:{KEY}@api.example.com", "https://api.example.com"),
        (f"veo3://:{KEY}@api.example.com/", "https://api.example.com"),
        (f"veo3://:{KEY}@api.example.com:8443/https", "https://api.example.com:8443"),
        (f"veo3://:{KEY}@127.0.0.1:8000/http", "http://127.0.0.1:8000"),
        (f"veo3://:{KEY}@localhost:8000/http", "http://localhost:8000"),
        (f"veo3://:{KEY}@[::1]:8000/http", "http://[::1]:8000"),
        (f"veo3://:{KEY}@{quote('http://127.0.0.1:8000', safe='')}", "http://127.0.0.1:8000"),
        (f"veo3://https://:{KEY}@api.example.com:443/", "https://api.example.com"),
        (f"veo3://http://:{KEY}@127.0.0.1:8000/", "http://127.0.0.1:8000"),
    ],
)
def test_an_address_as_a_uri(monkeypatch: pytest.MonkeyPatch, uri: str, base_url: str) -> None:
    settings = from_variable(monkeypatch, uri)
    assert (settings.base_url, settings.api_key) == (base_url, KEY)


def test_extras_in_a_uri_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_variable(
        monkeypatch,
        f"veo3://:{KEY}@?request_timeout=5&requests_per_minute=30&poll_interval=2.5&first_frame_field=a",
    )
    assert (settings.request_timeout, settings.requests_per_minute, settings.poll_interval) == (
        5.0,
        30.0,
        2.5,
    )
    assert settings.file_fields == {"first_frame": "a", "last_frame": "lastFrame"}


@pytest.mark.parametrize(
    "host",
    [
        "https://api.example.com/api",
        "api.example.com/api",
        "https://api.example.com?a=b",
        "https://api.example.com#x",
        "https://me:word@api.example.com",
        "https://me@api.example.com",
        "https://@api.example.com",
        "https://api.example.com\\@evil.com",
        "https://evil.com\\.example.com",
        "https://api example.com",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "https://",
        "://api.example.com",
        "https://[::1",
        "https://[nonsense]",
        "https://api.example.com:port",
        "https://api.example.com:99999",
        "https://api.example.com:0",
        "http://api.example.com",
        "http://127.evil.com",
        "http://localhost.evil.com",
        "http://10.0.0.1",
        "http://[2001:db8::1]",
        "http://localhost@evil.com",
    ],
)
def test_an_address_that_is_unusable_or_shows_the_key_is_refused(host: str) -> None:
    with pytest.raises(
        Veo3ConnectionConfigError, match=r"connection 'c': (host|port) is .*; allowed: "
    ) as caught:
        from_fields(host=host)
    assert "Nothing was sent" in str(caught.value)
    assert "word" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(Veo3ConnectionConfigError, match="port is"):
        from_fields(port=port)


@pytest.mark.parametrize("schema", ["http", "HTTP ", "ftp", "http://x", "veo3"])
def test_the_scheme_field_does_not_change_the_default_host(schema: str) -> None:
    assert from_fields(schema=schema).base_url == "https://api.veo3gen.co"
    with pytest.raises(Veo3ConnectionConfigError, match="host is"):
        from_fields(host="api.example.com", schema=schema)


@pytest.mark.parametrize("key", [None, "", "  ", "\n"])
def test_a_missing_key_is_named(key: str | None) -> None:
    with pytest.raises(Veo3ConnectionConfigError, match="password is empty; allowed: the API key"):
        from_fields(password=key)


@pytest.mark.parametrize("key", ["veo3_a b", "veo3_a\nX-Evil: 1", "veo3_ü", "veo3_\x00", "veo3_\x7f", "a\tb"])
def test_a_key_that_cannot_be_a_header_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(Veo3ConnectionConfigError, match=r"password is malformed \(not shown\)") as caught:
        from_fields(password=key)
    assert key not in str(caught.value)


def test_blanks_around_a_pasted_key_are_taken_off() -> None:
    assert from_fields(password=f" {KEY}\n").api_key == KEY


NUMBERS = [
    ("request_timeout", 30.0, 1, 600),
    ("requests_per_minute", 60.0, 1, 100_000),
    ("poll_interval", 10.0, 1, 3600),
]


@pytest.mark.parametrize(("name", "default", "least", "most"), NUMBERS)
def test_an_extra_that_is_a_number(name: str, default: float, least: float, most: float) -> None:
    def read(value: Any) -> float:
        number: float = getattr(from_fields(extra=json.dumps({name: value})), name)
        return number

    assert getattr(from_fields(), name) == default
    assert [read(value) for value in (None, "", least, most, str(most), f" {least} ")] == [
        default,
        default,
        least,
        most,
        most,
        least,
    ]
    wrong = [
        0,
        -1,
        least - 0.5,
        most + 1,
        str(most + 1),
        "fast",
        True,
        False,
        [5],
        {"a": 5},
        "nan",
        "inf",
        10**400,
    ]
    for value in wrong:
        with pytest.raises(
            Veo3ConnectionConfigError, match=f"extra {name} is .*a number from {least} to {most}"
        ):
            read(value)


@pytest.mark.parametrize("name", ["first_frame", "last_frame"])
def test_an_extra_that_is_the_name_of_a_form_field(name: str) -> None:
    def read(value: Any) -> str:
        return from_fields(extra=json.dumps({f"{name}_field": value})).file_fields[name]

    default = {"first_frame": "firstFrame", "last_frame": "lastFrame"}[name]
    assert [read(value) for value in (None, "")] == [default, default]
    for value in ("image", "first_image", "first-frame", "frames[0]", "images[]", "frames.first"):
        assert read(value) == value
    for value in ("a b", 'a"; filename="x', "a\r\nb", "a\n", "1a", 5, ["image"], True, "-a", "ä", "a" * 65):
        with pytest.raises(Veo3ConnectionConfigError, match=f"extra {name}_field is .*name of a form field"):
            read(value)


REFUSED_EXTRAS = (
    (Veo3ConnectionConfigError, r"extra is a \w+; allowed: a JSON object")
    if AIRFLOW >= (3, 2)  # before, Airflow itself logs that they are none, and has no such connection
    else (AirflowNotFoundException, "is not defined")
)


@pytest.mark.parametrize("extra", ["[1, 2]", '"text"', "5"])
def test_extras_that_are_not_an_object_are_refused(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    with pytest.raises(REFUSED_EXTRAS[0], match=REFUSED_EXTRAS[1]):
        from_variable(monkeypatch, as_json(extra=extra))


def test_an_unknown_extra_is_ignored() -> None:
    assert from_fields(extra=json.dumps({"region": "eu"})).base_url == "https://api.veo3gen.co"


@pytest.mark.parametrize(
    "value", ["aws://id:another_secret@", '{"conn_type": "http", "password": "another_secret"}']
)
def test_the_password_of_another_service_is_not_taken_for_the_key(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    with pytest.raises(Veo3ConnectionConfigError, match=r"type is '(aws|http)'; allowed: veo3") as refused:
        from_variable(monkeypatch, value, "mistaken")
    assert "another_secret" not in str(refused.value)


@pytest.mark.parametrize("kind", [{}, {"conn_type": "generic"}], ids=str)
def test_a_connection_needs_no_type(monkeypatch: pytest.MonkeyPatch, kind: dict[str, str]) -> None:
    """An API server without the provider offers no other type in its form."""
    assert from_variable(monkeypatch, json.dumps({**kind, "password": KEY})).api_key == KEY


def test_the_key_is_never_shown() -> None:
    settings = from_fields()
    assert KEY not in f"{settings} {settings!r}"
    assert settings.api_key == KEY


@given(
    st.none() | st.text() | st.from_regex(r"(https?://)?[\w.:\[\]@\\/%-]*", fullmatch=True),
    st.none() | st.text(max_size=5) | st.sampled_from(["http", "https"]),
    st.none() | st.integers(),
)
def test_any_address_is_safe_for_the_key_or_refused(
    host: str | None, schema: str | None, port: int | None
) -> None:
    try:
        base_url = from_fields(host=host, schema=schema, port=port).base_url
    except Veo3ConnectionConfigError:
        return
    scheme, _, rest = base_url.partition("://")
    assert scheme == "https" or rest.startswith(
        ("127.", "localhost", "[::1]", "[0", "[::", "0", "2130706433", "1")
    )
    assert not set("@/\\?# ") & set(rest)


def test_the_form_has_a_field_for_each_extra() -> None:
    assert CONNECTION_TYPE["conn-fields"].keys() == {
        *(name for name, *_ in NUMBERS),
        "first_frame_field",
        "last_frame_field",
    }
    for name, default, least, most in NUMBERS:
        schema = CONNECTION_TYPE["conn-fields"][name]["schema"]
        assert (schema["default"], schema["minimum"], schema["maximum"]) == (default, least, most)


IN_QUOTES = [
    f"'{as_json()}'",
    f'"{as_json()}"',
    json.dumps(as_json()),
    f"'veo3://:{KEY}@'",
    f'"veo3://:{KEY}@127.0.0.1/?poll_interval=5"',
]


@pytest.mark.parametrize("value", IN_QUOTES)
def test_a_connection_that_is_still_in_quotes_is_told_so_without_its_key(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Veo3ConnectionConfigError, match="quotes") as caught:
        from_variable(monkeypatch, value)
    assert "without quotes around it" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("fields", [{"password": f'"{KEY}"'}, {"host": "'https://api.example.com'"}])
def test_a_field_that_is_still_in_quotes_is_told_so(fields: dict[str, str]) -> None:
    with pytest.raises(Veo3ConnectionConfigError, match="without quotes around it") as caught:
        from_fields(**fields)
    assert next(iter(fields)) in str(caught.value) or "whole value" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"), [("VEO3_API_KEY", f"'{KEY}'"), ("VEO3_BASE_URL", '"https://api.example.com"')]
)
def test_a_variable_that_is_still_in_quotes_is_named(variable: str, value: str) -> None:
    with pytest.raises(Veo3ConnectionConfigError, match=f"{variable}.*without quotes around it") as caught:
        settings_from_environment({"VEO3_API_KEY": KEY, variable: value})
    assert KEY not in str(caught.value)


def test_a_long_value_is_cut() -> None:
    with pytest.raises(Veo3ConnectionConfigError) as caught:
        from_fields(extra=json.dumps({"poll_interval": "x" * 100_000}))
    assert len(str(caught.value)) < 400
