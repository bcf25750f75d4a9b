"""Responses without end: in size, in rows and in time."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.json_values import SMALL, decode_json
from airflow_provider_veo3.api.request import GenerationRequest
from airflow_provider_veo3.api.retries import ONCE, is_transient, was_not_accepted
from airflow_provider_veo3.api.transport import MAX_RESPONSE_BYTES, open_file
from tests.support import samples
from tests.support.raw_server import RawServer, reply
from tests.support.samples import ID

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.support.drive import Driver

MEGABYTE = 2**20


def submit(url: str) -> flows.Flow[Any]:
    return flows.submit(GenerationRequest("text-to-video", "x"), url, {}, ONCE)


def status(url: str) -> flows.Flow[Any]:
    return flows.get_generation(ID, url, ONCE)


def history(url: str) -> flows.Flow[Any]:
    return flows.get_history_page(100, 0, None, url, ONCE)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n{")
    while True:
        connection.sendall(b" " * MEGABYTE)


def bomb(connection: socket.socket) -> None:
    """Send a gigabyte of blanks in about a megabyte."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n")
    for _ in range(1024):
        connection.sendall(packer.compress(b" " * MEGABYTE))


@pytest.mark.parametrize("action", [endless, bomb])
def test_a_response_is_read_up_to_a_limit(server: RawServer, drive: Driver, action: Any) -> None:
    server.script = [action]
    for flow in (submit(server.url), status(server.url), history(server.url)):
        tracemalloc.start()
        try:
            with pytest.raises(
                errors.Veo3UnreadableAnswerError, match="it is larger than 16777216"
            ) as caught:
                drive(server.url, flow)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 4 * MAX_RESPONSE_BYTES
        assert is_transient(caught.value)
        assert not was_not_accepted(caught.value)
        assert len(str(caught.value)) < 1000
        assert len(caught.value.body) < 1000


def test_a_response_just_within_the_limit_is_read(server: RawServer, drive: Driver) -> None:
    body = json.dumps(samples.COMPLETED).encode()
    server.script = [reply(200, body + b" " * (MAX_RESPONSE_BYTES - len(body)))]
    assert drive(server.url, status(server.url)).id == ID
    server.script = [reply(200, body + b" " * (MAX_RESPONSE_BYTES - len(body) + 1))]
    with pytest.raises(errors.Veo3UnreadableAnswerError, match="larger"):
        drive(server.url, status(server.url))


@pytest.mark.parametrize("packed", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_a_compressed_response_is_read(
    server: RawServer, drive: Driver, packed: Callable[[bytes], bytes]
) -> None:
    encoding = "gzip" if packed is gzip.compress else "deflate"
    body = packed(json.dumps(samples.COMPLETED).encode())
    server.script = [reply(200, body, {"Content-Encoding": encoding})]
    assert drive(server.url, status(server.url)).id == ID
    server.script = [
        reply(200, body[:-9], {"Content-Encoding": encoding, "Content-Length": str(len(body) - 9)})
    ]
    with pytest.raises(errors.Veo3NoAnswerError, match="not complete"):
        drive(server.url, status(server.url))


def test_an_encoding_that_was_not_requested_is_named(server: RawServer, drive: Driver) -> None:
    server.script = [reply(200, b"xyz", {"Content-Encoding": "br"})]
    with pytest.raises(errors.Veo3UnreadableAnswerError, match="encoding 'br'"):
        drive(server.url, status(server.url))


def rows(count: int, **more: Any) -> bytes:
    items = [{"taskId": f"veo_{number}", "status": "completed"} for number in range(count)]
    return json.dumps({"success": True, "videos": items, **more}).encode()


def test_rows_beyond_the_requested_ones_become_no_objects(server: RawServer, drive: Driver) -> None:
    body = b'{"videos": [' + b'{"taskId":"a"},' * 1_000_000 + b"{}], " + b'"pagination": {"total": 7}}'
    assert len(body) < MAX_RESPONSE_BYTES
    server.script = [reply(200, body)]
    tracemalloc.start()
    try:
        page = drive(server.url, history(server.url))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(page.generations), page.total, page.next_skip) == (100, 7, 100)
    assert peak < 5 * len(body), "a million objects take 15 times as much"


@pytest.mark.parametrize("count", [99, 100, 101, 5000])
@pytest.mark.parametrize("blanks", [0, SMALL])
def test_a_large_page_is_read_as_a_small_one(
    server: RawServer, drive: Driver, count: int, blanks: int
) -> None:
    body = rows(count, pagination={"total": count, "hasMore": False}) + b" " * blanks
    server.script = [reply(200, body)]
    page = drive(server.url, history(server.url))
    assert [each.id for each in page.generations] == [f"veo_{number}" for number in range(min(count, 100))]
    assert page.total == count
    assert page.next_skip == (100 if count > 100 else None)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[1, 2]",
        '{"a": [], "b": {"c": [1]}}',
        '{"videos": [1, 2, 3], "pagination": {"total": 3}}',
        '"x"',
    ],
)
def test_large_json_is_decoded_as_small_one_is(text: str) -> None:
    assert decode_json((text + " " * SMALL).encode(), 100) == json.loads(text)


@pytest.mark.parametrize("text", ["{", '{"a"', '{"a": [1', '{"a": [1,', '{"a": 1 "b": 2}', '{"a": [1 2]}'])
def test_large_json_that_is_broken_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_json(b" " * SMALL + b" " + text.encode(), 100)


def dripping(raw: bytes, server: RawServer) -> Callable[[socket.socket], None]:
    """Return an action that sends a byte now and then, for much longer than any test takes."""

    def drip(connection: socket.socket) -> None:
        for byte in raw * 1000:
            connection.sendall(bytes([byte]))
            if server.released.wait(0.05):
                return

    return drip


DRIPS = {
    "the status line": b"HTTP/1.1 200 OK",
    "the headers": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 1000,
}


@pytest.mark.parametrize("part", [*DRIPS, "the body", "chunks"])
@pytest.mark.parametrize("flow", [submit, status], ids=["submission", "status"])
def test_a_response_in_drops_ends_at_the_deadline(
    server: RawServer, drive: Driver, part: str, flow: Callable[[str], flows.Flow[Any]]
) -> None:
    heads = {
        "the body": b"HTTP/1.1 202 OK\r\nContent-Length: 100000\r\n\r\n",
        "chunks": b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    }

    def respond(connection: socket.socket) -> None:
        connection.sendall(heads.get(part, b""))
        drops = b"1\r\n \r\n" if part == "chunks" else DRIPS.get(part, b" ")
        dripping(drops, server)(connection)

    server.script = [respond]
    with pytest.raises(errors.Veo3NoAnswerError, match="ReadTimeout") as caught:
        drive(server.url, flow(server.url), timeout=1.0, longest_response=0.5)
    assert caught.value.sent is True
    assert is_transient(caught.value)
    assert not was_not_accepted(caught.value)


LINKS = {
    "/a%7Eb.mp4?sig=%2fx%2Fy": None,
    "/~a/b.mp4?X-Goog-Signature=a+b%20c": None,
    "/%e9%BE%8d.mp4": None,
    "/a//b/../c.mp4?": None,
    "/a.mp4?x=[1]&y={2}|3^`\\": None,
    "/a%.mp4?b=100%": None,
    "/a b.mp4?c=d e": "/a%20b.mp4?c=d%20e",
    '/龍.mp4?ü="': '/%E9%BE%8D.mp4?%C3%BC="',
    "?a=b": "/?a=b",
    "/a.mp4#fragment": "/a.mp4",
}


@pytest.mark.parametrize(("link", "sent"), LINKS.items())
def test_a_link_is_sent_byte_for_byte(server: RawServer, link: str, sent: str | None) -> None:
    server.script = [reply(200, b"video")]
    with open_file(f"{server.url}{link}", timeout=30) as response:
        assert list(response.iter_bytes(100)) == [b"video"]
    assert [got.target for got in server.received] == [link if sent is None else sent]


@pytest.mark.parametrize("link", ["/a%7Eb.mp4?sig=%2fx%2Fy", "/c/../d.mp4?x=~%7e"])
def test_a_redirect_is_followed_byte_for_byte(server: RawServer, link: str) -> None:
    server.script = [reply(302, b"", {"Location": f"{server.url}{link}"}), reply(200, b"video")]
    with open_file(f"{server.url}/start.mp4", timeout=30) as response:
        assert response.status == 200
    assert server.received[1].target == link


@pytest.mark.parametrize("link", [" {}/a%7E.mp4?s=%2f", "{}/a%7E.mp4?s=%2f\n", "\t{}/a%7E.mp4?s=%2f \r\n"])
def test_white_space_around_a_link_is_trimmed(server: RawServer, drive: Driver, link: str) -> None:
    link = link.format(server.url)
    server.script = [reply(200, {"videos": [{"url": link}]})]
    (video,) = drive(server.url, flows.get_videos(ID, server.url, ONCE))
    assert video.url == f"{server.url}/a%7E.mp4?s=%2f"
