"""Rules for links that may be followed, and redaction of printed text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.api.json_values import (
    LATEST_TIME,
    UnusableError,
    is_unix_time,
    read_count,
    read_number,
    read_text,
    read_time,
)
from airflow_provider_veo3.api.redact import BODY_LIMIT, redact_text, redact_url
from airflow_provider_veo3.api.urls import is_loopback_url, safe_join

REMOTE = "https://api.veo3gen.co"
LOCAL = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("link", "joined"),
    [
        ("https://storage.googleapis.com/b/a.mp4?X-Sig=a%2Fb&c=d", None),
        ("https://storage.googleapis.com:8443/a.mp4", None),
        ("https://127.evil.com/a.mp4", None),
        ("https://localhost.evil.com/a.mp4", None),
        ("https://[2001:db8::1]/a.mp4", None),
        ("/files/a.mp4?s=1", "https://api.veo3gen.co/files/a.mp4?s=1"),
        ("files/a.mp4", "https://api.veo3gen.co/files/a.mp4"),
        ("//cdn.example/a.mp4", "https://cdn.example/a.mp4"),
        ("https:///a.mp4", "https://api.veo3gen.co/a.mp4"),
    ],
)
def test_an_https_link_is_followed_as_it_is(link: str, joined: str | None) -> None:
    assert safe_join(REMOTE, link) == (joined or link)


LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.255.255.254",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "0.0.0.0",  # noqa: S104 - refused, not bound to
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[0:0:0:0:0:0:0:1]",
]
NOWHERE = ["[::1", "[nonsense]", "", "%", "999.1.1.1"]
ELSEWHERE = [
    "127.evil.com",
    "localhost.evil.com",
    "128.0.0.1",
    "10.0.0.1",
    "[2001:db8::1]",
    "example.com",
    "127",
]


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_remote_api_cannot_link_to_this_machine(host: str, scheme: str) -> None:
    assert is_loopback_url(f"{scheme}://{host}:80/x")
    with pytest.raises(UnusableError, match="may not be followed"):
        safe_join(REMOTE, f"{scheme}://{host}/x")


@pytest.mark.parametrize("host", NOWHERE)
def test_a_malformed_host_is_not_this_machine(host: str) -> None:
    assert not is_loopback_url(f"http://{host}/x")


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_local_api_can_link_to_this_machine(host: str) -> None:
    assert safe_join(LOCAL, f"http://{host}:9000/x") == f"http://{host}:9000/x"


@pytest.mark.parametrize("host", ELSEWHERE)
def test_plain_http_is_followed_to_this_machine_only(host: str) -> None:
    assert not is_loopback_url(f"http://{host}/x")
    for base in (REMOTE, LOCAL):
        with pytest.raises(UnusableError, match="may not be followed"):
            safe_join(base, f"http://{host}/x")


@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/passwd",
        "ftp://files.example/a.mp4",
        "javascript:alert(1)",
        "data:video/mp4;base64,AAAA",
        "gopher://127.0.0.1:6379/x",
        "gs://bucket/a.mp4",
        "s3://bucket/a.mp4",
        "https://user:word@files.example/a.mp4",
        "https://user@files.example/a.mp4",
        "https://@files.example/a.mp4",
        "https://127.0.0.1\\@files.example/a.mp4",
        "https://files.example\\.evil.com/a.mp4",
        "https://files.example /a.mp4",
        "https://files.exa\tmple/a.mp4",
        "https://files%2eexample/a.mp4",
        "https://files.example\r\nX-Evil: 1",
        " ",
        "https://files.example:0/a.mp4",
        "https://files.example:99999/a.mp4",
        "https://files.example:x/a.mp4",
        "https://[::1/a.mp4",
        "https://[nonsense]/a.mp4",
        "http:",
    ],
)
def test_any_other_link_is_refused(link: str) -> None:
    with pytest.raises(UnusableError):
        safe_join(REMOTE, link)


@given(st.text() | st.from_regex(r"(https?:)?//[\w.:@\[\]\\%]*(/\S*)?", fullmatch=True))
def test_any_text_is_followed_over_https_or_refused(link: str) -> None:
    try:
        joined = safe_join(REMOTE, link)
    except UnusableError as error:
        assert len(str(error)) < 1000  # noqa: PT017 - either end is right
        return
    assert joined.startswith("https://")
    assert not is_loopback_url(joined)


def test_a_refused_link_is_not_shown_in_full() -> None:
    with pytest.raises(UnusableError) as caught:
        safe_join(REMOTE, f"ftp://me:word@host/{'a' * 10_000}?X-Sig=abcdef")
    assert "word" not in str(caught.value)
    assert "abcdef" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the key veo3_abc-DEF_123 is bad", "the key *** is bad"),
        ("veo3_abc.def/ghi+jkl=", "***"),
        ('{"key":"veo3_abcdef","x":1}', '{"key":"***","x":1}'),
        ("https://h/a.mp4?X-Sig=abc&d=e next", "https://h/a.mp4?... next"),
        (r'{"u":"https://h/a.mp4?X-Date=1\u0026X-Sig=abc"}', r'{"u":"https://h/a.mp4?..."}'),
        (r'{"u":"https:\/\/h\/a.mp4?X-Sig=abc"}', r'{"u":"https:\/\/h\/a.mp4?..."}'),
        ("https://h/a(1)?sig=abc", "https://h/a(1)?..."),
        ("https://h/?sig=abc", "https://h/?..."),
        ("what? a = b", "what? a = b"),
        ("", ""),
    ],
)
def test_printed_text_holds_no_secret(text: str, shown: str) -> None:
    assert redact_text(text) == shown


def test_a_given_secret_of_any_form_is_removed() -> None:
    assert redact_text("denied for hunter2, hunter2!", "hunter2", "") == "denied for ***, ***!"


@pytest.mark.parametrize("text", ["a?" * 1_000_000, "x" * 1_000_000, "a?b=c " * 200_000, "veo3_" * 200_000])
def test_a_huge_text_is_cut_in_no_time(text: str) -> None:
    began = time.process_time()
    shown = redact_text(text)
    assert len(shown) <= BODY_LIMIT + 3
    assert shown.endswith("...") or "***" in shown
    assert time.process_time() - began < 1


def test_a_url_is_shown_without_query_and_password() -> None:
    assert redact_url("https://me:word@h/a.mp4?sig=abc") == "https://***@h/a.mp4?..."
    assert redact_url("https://h/a@b.mp4") == "https://h/a@b.mp4"


@pytest.mark.parametrize(
    ("value", "number", "count"),
    [
        (5, 5.0, 5),
        ("5", 5.0, 5),
        (5.9, 5.9, 5),
        (-1, -1.0, None),
        (True, None, None),
        (None, None, None),
        ("", None, None),
        ("x", None, None),
        ("nan", None, None),
        (float("inf"), None, None),
        ([5], None, None),
        ({}, None, None),
    ],
)
def test_numbers(value: object, number: float | None, count: int | None) -> None:
    assert (read_number(value), read_count(value)) == (number, count)
    assert read_number(10**400) is None


def test_no_count_is_larger_than_airflow_takes() -> None:
    assert [read_count(value) for value in (2**53, 2.0**54, 1e30, 10**20)] == [2**53, None, None, None]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2023-12-20T10:30:45.123Z", "2023-12-20T10:30:45.123000+00:00"),
        ("2023-12-20T10:30:45", "2023-12-20T10:30:45+00:00"),
        (" 2023-12-20T12:30:45+02:00 ", "2023-12-20T10:30:45+00:00"),
        ("2023-12-20", "2023-12-20T00:00:00+00:00"),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2023-13-40T10:30:45Z", None),
        ("soon", None),
        (1703068245, "2023-12-20T10:30:45+00:00"),
        ("1703068245123", "2023-12-20T10:30:45.123000+00:00"),
        (90, None),
        (None, None),
    ],
)
def test_times_are_utc(value: object, shown: str | None) -> None:
    time = read_time(value)
    assert (time and time.isoformat()) == shown


@pytest.mark.parametrize("value", [0, 0.5, 1_700_000_000, LATEST_TIME - 1])
def test_a_number_of_unix_seconds_is_a_time(value: object) -> None:
    assert is_unix_time(value)


@pytest.mark.parametrize(
    "value", [-1, -0.5, LATEST_TIME, 10**400, float("inf"), float("nan"), True, False, None, "1700000000", []]
)
def test_any_other_value_is_not_a_time(value: object) -> None:
    assert not is_unix_time(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), ("", None), ("\x00", None), ("a\x00b", "ab"), ("a\ud800", "a\ufffd"), (5, None)],
)
def test_text_can_be_logged_and_stored(value: object, text: str | None) -> None:
    assert read_text(value) == text
