"""Random requests on raw sockets: none gets a status of 500 or more, and none holds a slot."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_veo3.emulator import Emulator, FrozenClock, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]
PATHS = [
    *("/api/veo/text-to-video", "/api/veo/image-to-video", "/api/veo/first-last-frame", "/api/veo/history"),
    *("/api/veo/status/", "/api/veo/download/", "/api/veo/models", "/api/veo/", "/veo3gen-gen-video/videos/"),
    *("/__emulator__/", "/__emulator__/ledger", "/__emulator__/faults", "/__emulator__/tasks/", "/", "*"),
]
ENDS = [
    "",
    "",
    "?limit=",
    "?skip=",
    "?status=",
    "%2F",
    "%ff",
    "%",
    "/..",
    "//",
    "9" * 400,
    "-1",
    "/sample_0.mp4",
]
TYPES = [
    *("application/json", "application/json; charset=utf-16", "text/plain", "\xff"),
    *("multipart/form-data; boundary=b", "multipart/form-data; boundary=b; charset=punycode"),
    *("multipart/form-data; boundary=", "application/x-www-form-urlencoded"),
]
HEADERS = [
    "X-Other: 1",
    "Range: bytes=1-",
    "Range: bytes=-" + "9" * 5000,
    "Expect: 100-continue",
    "Origin: null",
]
PIECES = [
    *(b"--b", b"--b--", b"\r\n", b"\r\n\r\n", b"A", b"\x89PNG", b"\xff", b"prompt=A&seed=%ff"),
    *(b'; filename="a\xff"', b"; filename*=x''%ff", b"Content-Type: image/png", b"+2AA-", b"\xed\xa0\x80"),
    *(b'Content-Disposition: form-data; name="prompt"', b'Content-Disposition: form-data; name="image"'),
]
FIELDS = ["prompt", "model", "seed", "sampleCount", "durationSeconds", "generateAudio", "kind", "count"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4)
BODIES = (
    OBJECTS.map(lambda fields: json.dumps(fields).encode())
    | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
    | st.binary(max_size=60)
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return a request as it is sent."""

    def one_of(choices: list[str]) -> str:
        return draw(st.sampled_from(choices))

    body = draw(BODIES)
    lines = [
        f"{one_of(METHODS)} {one_of(PATHS)}{one_of(ENDS)} HTTP/1.1",
        "Host: x",
        "X-API-Key: veo3_emulator_key",
        f"Content-Type: {one_of(TYPES)}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        one_of(HEADERS),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """An emulator that accepts one request at a time, so that a slot that is not freed is noticed."""
    chosen = Settings(
        file_size=64,
        credits=1_000_000,
        concurrent_requests=1,
        requests_per_minute=None,
        requests_per_day=None,
        queue_limit=None,
    )
    with Emulator(chosen, clock=FrozenClock()) as running:
        yield running


def response_to(url: str, request: bytes) -> bytes:
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port), timeout=60) as client:
        client.sendall(request)
        received = b""
        while data := client.recv(65536):
            received += data
    return re.sub(rb"^HTTP/1\.1 100 [^\r]*\r\n\r\n", b"", received)


# Starlette leaves a file part open that has no end; it is closed as soon as nothing refers to it.
@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning")
@settings(max_examples=200, deadline=None, derandomize=True)
@given(requests())
def test_no_request_breaks_the_emulator(emulator, request_):
    for url in (emulator.base_url, emulator.files_url):
        status = response_to(url, request_).split(b" ", 2)[1]
        assert b"200" <= status < b"500"
    for path in ("/api/veo/history", "/__emulator__/ledger"):
        later = (
            f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {emulator.api_key}\r\nConnection: close\r\n\r\n"
        )
        assert response_to(emulator.base_url, later.encode()).startswith(b"HTTP/1.1 200")
