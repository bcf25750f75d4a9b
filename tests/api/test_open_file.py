"""Downloads from the file host: without the key, and from allowed URLs only."""

from __future__ import annotations

import logging
import traceback

import pytest

from airflow_provider_veo3.api.transport import MAX_FILE_REDIRECTS, USER_AGENT, open_file
from airflow_provider_veo3.exceptions import Veo3ApiError, Veo3NoAnswerError, Veo3StorageError
from tests.support.drive import KEY
from tests.support.raw_server import HANG_UP, RawServer, closed_port, reply, running_server

VIDEO = bytes(range(256)) * 40
QUERY = "X-Goog-Date=1&X-Goog-Signature=cafe%2Fbabe"


def read(url: str, chunk: int = 1000, **options: object) -> tuple[int, bytes]:
    with open_file(url, timeout=60.0, **options) as response:  # type: ignore[arg-type]
        pieces = list(response.iter_bytes(chunk))
        assert all(0 < len(piece) <= chunk for piece in pieces)
        return response.status, b"".join(pieces)


def assert_no_signature(error: BaseException) -> None:
    """Check that neither the text nor the traceback holds the signature."""
    shown = f"{error} {error!r} {vars(error)} {''.join(traceback.format_exception(error))}"
    assert "cafe" not in shown


def test_a_file_is_requested_without_the_key_and_with_its_query(server: RawServer) -> None:
    server.script = [reply(200, VIDEO, {"Content-Type": "video/mp4", "ETag": '"1"'})]
    with open_file(f"{server.url}/a/b%20c.mp4?{QUERY}", timeout=60.0) as response:
        assert (response.status, response.headers["etag"]) == (200, '"1"')
        assert b"".join(response.iter_bytes(999)) == VIDEO
    (got,) = server.received
    assert got.target == f"/a/b%20c.mp4?{QUERY}"
    assert got.headers["user-agent"] == USER_AGENT
    assert got.headers["accept-encoding"] == "identity"
    assert not {"x-api-key", "authorization", "cookie", "range", "if-range"} & set(got.headers)
    assert KEY not in str(got)


def test_the_rest_of_a_file_is_requested_if_it_is_unchanged(server: RawServer) -> None:
    server.script = [reply(206, VIDEO[100:])]
    assert read(f"{server.url}/a.mp4", offset=100, if_match='"1"') == (206, VIDEO[100:])
    assert read(f"{server.url}/a.mp4", offset=100) == (206, VIDEO[100:])
    read(f"{server.url}/a.mp4", if_match='"1"')
    ranges = [(got.headers.get("range"), got.headers.get("if-range")) for got in server.received]
    assert ranges == [("bytes=100-", '"1"'), ("bytes=100-", None), (None, None)]


def test_a_compressed_body_is_not_decoded(server: RawServer) -> None:
    server.script = [reply(200, b"not really gzip", {"Content-Encoding": "gzip"})]
    assert read(f"{server.url}/a.mp4") == (200, b"not really gzip")


@pytest.mark.parametrize("status", [403, 404, 410, 416, 500, 503])
def test_an_error_status_is_returned_to_the_caller(server: RawServer, status: int) -> None:
    server.script = [reply(status, b"<Error/>")]
    assert read(f"{server.url}/a.mp4?{QUERY}") == (status, b"<Error/>")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_between_local_hosts_is_followed(server: RawServer, code: int) -> None:
    with running_server() as other:
        other.script = [reply(200, VIDEO)]
        server.script = [reply(code, b"", {"Location": f"{other.url}/b.mp4"})]
        assert read(f"{server.url}/a.mp4?{QUERY}", offset=5) == (200, VIDEO)
        (got,) = other.received
    assert got.target == "/b.mp4"
    assert got.headers["range"] == "bytes=5-"
    assert not {"referer", "authorization", "x-api-key"} & set(got.headers)
    assert "cafe" not in str(got)


def test_a_relative_redirect_is_followed(server: RawServer) -> None:
    server.script = [reply(302, b"", {"Location": "c.mp4?x=1"}), reply(200, VIDEO)]
    assert read(f"{server.url}/a/b.mp4") == (200, VIDEO)
    assert [got.target for got in server.received] == ["/a/b.mp4", "/a/c.mp4?x=1"]


@pytest.mark.parametrize(
    "target",
    [
        "http://files.example/a.mp4",
        "http://10.0.0.1/a.mp4",
        "ftp://127.0.0.1/a.mp4",
        "file:///etc/passwd",
        "https://me:word@files.example/a.mp4",
    ],
)
def test_a_redirect_to_a_forbidden_url_is_refused(server: RawServer, target: str) -> None:
    server.script = [reply(302, b"", {"Location": f"{target}?{QUERY}"})]
    with pytest.raises(Veo3StorageError, match="redirects to a forbidden URL") as caught:
        read(f"{server.url}/a.mp4?{QUERY}")
    assert_no_signature(caught.value)
    assert "word" not in str(caught.value)


def test_endless_redirects_end(server: RawServer) -> None:
    server.script = [reply(302, b"", {"Location": f"/a.mp4?{QUERY}"})]
    with pytest.raises(Veo3StorageError, match=f"more than {MAX_FILE_REDIRECTS} times") as caught:
        read(f"{server.url}/a.mp4?{QUERY}")
    assert len(server.received) == MAX_FILE_REDIRECTS
    assert_no_signature(caught.value)


def test_a_redirect_without_a_location_is_returned_to_the_caller(server: RawServer) -> None:
    server.script = [reply(302, b"no location")]
    assert read(f"{server.url}/a.mp4") == (302, b"no location")


@pytest.mark.parametrize("cut", [0, 1, 5000, len(VIDEO) - 1])
def test_a_short_body_is_an_error(server: RawServer, cut: int) -> None:
    server.script = [reply(200, VIDEO, cut=cut)]
    got = bytearray()
    with (
        pytest.raises(Veo3NoAnswerError) as caught,
        open_file(f"{server.url}/a.mp4?{QUERY}", timeout=60.0) as response,
    ):
        got.extend(byte for piece in response.iter_bytes(1000) for byte in piece)
    assert VIDEO.startswith(got)
    assert len(got) <= cut
    assert_no_signature(caught.value)


def test_a_stalled_body_is_an_error(server: RawServer) -> None:
    def stall(connection: object) -> None:
        reply(200, VIDEO, cut=1000)(connection)  # type: ignore[arg-type]
        server.hang(connection)  # type: ignore[arg-type]

    server.script = [stall]
    with (
        pytest.raises(Veo3NoAnswerError, match="ReadTimeout") as caught,
        open_file(f"{server.url}/a.mp4?{QUERY}", timeout=2) as response,
    ):
        list(response.iter_bytes(1000))
    assert_no_signature(caught.value)


@pytest.mark.parametrize(
    "odd", [b"a line that is no header", b"Location /b.mp4?X-Goog-Signature=cafe", b" x"]
)
def test_malformed_headers_are_an_error_without_the_signature(
    server: RawServer, caplog: pytest.LogCaptureFixture, odd: bytes
) -> None:
    caplog.set_level("DEBUG", logger="httpcore")
    head = b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: 2\r\n\r\nhi" % odd
    server.script = [lambda connection: connection.sendall(head)]
    with pytest.raises(Veo3NoAnswerError, match="RemoteProtocolError") as caught:
        read(f"{server.url}/a.mp4?{QUERY}")
    assert_no_signature(caught.value)
    assert "cafe" not in caplog.text


def test_a_redirect_is_logged_without_its_signature(
    server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="httpcore")
    server.script = [reply(302, b"", {"Location": f"/b.mp4?{QUERY}"}), reply(200, VIDEO)]
    assert read(f"{server.url}/a.mp4?{QUERY}") == (200, VIDEO)
    assert "/b.mp4?..." in caplog.text
    assert "cafe" not in caplog.text


def test_closing_one_file_leaves_the_logs_of_the_others_redacted(
    server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="httpcore")
    server.script = [reply(200, VIDEO)]
    with open_file(f"{server.url}/a.mp4?{QUERY}", timeout=5.0):
        read(f"{server.url}/b.mp4?{QUERY}")
        for name in ("connection", "http11"):
            logging.getLogger(f"httpcore.{name}").warning("requested %s", f"{server.url}/c.mp4?{QUERY}")
    assert caplog.text.count("c.mp4?...") == 2
    assert "cafe" not in caplog.text


def test_an_unreachable_host_is_an_error(server: RawServer) -> None:
    server.script = [HANG_UP]
    with closed_port() as (closed, _):
        for url in (server.url, closed, "http://[::1", "https://x.invalid"):
            with pytest.raises(Veo3ApiError, match="No response from the file host for") as caught:
                read(f"{url}/a.mp4?{QUERY}")
            assert isinstance(caught.value, Veo3NoAnswerError)
            assert_no_signature(caught.value)
