"""Both transports over real sockets: one test body for the two."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_veo3 import __version__
from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.api.request import GenerationRequest, Image
from airflow_provider_veo3.api.retries import ONCE, Retries
from tests.support import samples
from tests.support.drive import KEY, Clock, Driver
from tests.support.raw_server import HANG_UP, Action, RawServer, closed_port, reply, running_server
from tests.support.samples import ID, flat

if TYPE_CHECKING:
    from collections.abc import Callable

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
JPEG = b"\xff\xd8\xff\xe0" + bytes(300)
ODD = 'A "dragon" — 龍 & <fire> 100% \r\n--boundary ü'


def text(url: str, retries: Retries = ONCE, **options: Any) -> flows.Flow[Any]:
    return flows.submit(GenerationRequest("text-to-video", ODD, **options), url, {}, retries)


def status(url: str, retries: Retries = ONCE) -> flows.Flow[Any]:
    return flows.get_generation(ID, url, retries)


def test_a_submission_on_the_wire(server: RawServer, drive: Driver) -> None:
    server.script = [reply(202, samples.ACCEPTED)]
    generation = drive(server.url + "/", text(server.url, seed=7, negative_prompt="ü"))
    assert (generation.id, generation.status, generation.credits_used) == (ID, Status.PENDING, 500)
    (got,) = server.received
    assert (got.method, got.target) == ("POST", "/api/veo/text-to-video")
    assert got.headers["x-api-key"] == KEY
    assert got.headers["user-agent"] == f"airflow-provider-veo3/{__version__}"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["cache-control"] == "no-cache", (
        "a stale history would have a generation paid for again"
    )
    assert "authorization" not in got.headers
    assert got.json() == {
        "prompt": ODD,
        "model": "veo-3.1-fast-generate-001",
        "sampleCount": 1,
        "durationSeconds": 8,
        "aspectRatio": "16:9",
        "generateAudio": True,
        "enhancePrompt": True,
        "negativePrompt": "ü",
        "seed": 7,
        "personGeneration": "allow_adult",
    }


def test_an_upload_on_the_wire(server: RawServer, drive: Driver) -> None:
    images = (Image("first_frame", PNG), Image("last_frame", JPEG))
    request = GenerationRequest("first-last-frame", ODD, images=images, extra_options={"new": 1.5})
    names = {"first_frame": "firstFrame", "last_frame": "lastFrame"}
    server.script = [reply(202, samples.ACCEPTED)]
    drive(server.url, flows.submit(request, server.url, names, ONCE))
    (got,) = server.received
    assert (got.method, got.target) == ("POST", "/api/veo/first-last-frame")
    assert got.headers["content-type"].startswith("multipart/form-data; boundary=")
    parts = got.parts()
    assert parts["firstFrame"] == ("first_frame.png", "image/png", PNG)
    assert parts["lastFrame"] == ("last_frame.jpg", "image/jpeg", JPEG)
    assert {name: content.decode() for name, (file, _, content) in parts.items() if file is None} == {
        "prompt": ODD,
        "model": "veo-3.1-fast-generate-001",
        "sampleCount": "1",
        "durationSeconds": "8",
        "aspectRatio": "16:9",
        "generateAudio": "true",
        "enhancePrompt": "true",
        "personGeneration": "allow_adult",
        "new": "1.5",
    }


@pytest.mark.parametrize("state", [None, "completed", "a&b=c #ü/?"])
def test_a_get_request_on_the_wire(server: RawServer, drive: Driver, state: str | None) -> None:
    server.script = [reply(200, samples.HISTORY)]
    page = drive(server.url, flows.get_history_page(100, 20, state, server.url, ONCE))
    assert (len(page.generations), page.next_skip) == (1, 21)
    (got,) = server.received
    target = urlsplit(got.target)
    assert (got.method, target.path, got.body) == ("GET", "/api/veo/history", b"")
    expected = {"limit": ["100"], "skip": ["20"]} | ({"status": [state]} if state else {})
    assert parse_qs(target.query, strict_parsing=True) == expected
    assert got.headers["x-api-key"] == KEY
    assert got.headers["content-type"] == "application/json", "a page of the vendor requires it"


def test_an_id_is_one_segment_of_the_path(server: RawServer, drive: Driver) -> None:
    server.script = [reply(200, samples.COMPLETED), reply(200, samples.DOWNLOAD)]
    videos = drive(server.url, status(server.url), flows.get_videos(ID, server.url, ONCE))
    assert [got.target for got in server.received] == [f"/api/veo/status/{ID}", f"/api/veo/download/{ID}"]
    assert [video.url for video in videos] == [samples.DOWNLOAD["videos"][0]["url"]]


ODD_IDS = {
    "../models": "..%2Fmodels",
    "..": "%2E%2E",
    ".": "%2E",
    "...": "%2E%2E%2E",
    "a/b?c#d%e+f:g~h&i=j": "a%2Fb%3Fc%23d%25e%2Bf%3Ag~h%26i%3Dj",
    "-rf": "-rf",
    "a b": "a%20b",
    "%2e%2e": "%252e%252e",
    "龍ü": "%E9%BE%8D%C3%BC",
    "12345": "12345",
    "x" * 512: "x" * 512,
}


@pytest.mark.parametrize(("generation_id", "segment"), ODD_IDS.items())
def test_any_printable_id_is_one_segment_and_compared_as_sent(
    server: RawServer, drive: Driver, generation_id: str, segment: str
) -> None:
    server.script = [
        reply(202, samples.ACCEPTED | {"taskId": generation_id}),
        reply(200, samples.COMPLETED | {"taskId": generation_id}),
        reply(200, samples.DOWNLOAD | {"taskId": generation_id}),
    ]
    accepted = drive(server.url, text(server.url))
    assert accepted.id == generation_id
    found = drive(server.url, flows.get_generation(accepted.id, server.url, ONCE))
    assert (found.id, found.status) == (generation_id, Status.COMPLETED)
    drive(server.url, flows.get_videos(accepted.id, server.url, ONCE))
    assert [got.target for got in server.received[1:]] == [
        f"/api/veo/{endpoint}/{segment}" for endpoint in ("status", "download")
    ]


def test_an_id_that_is_a_number_is_its_text(server: RawServer, drive: Driver) -> None:
    server.script = [
        reply(202, samples.ACCEPTED | {"taskId": 4711}),
        reply(200, {"taskId": 4711, "status": "done"}),
    ]
    accepted = drive(server.url, text(server.url))
    assert accepted.id == "4711"
    assert drive(server.url, flows.get_generation("4711", server.url, ONCE)).status is Status.COMPLETED


def test_a_failed_connection_is_reported_as_unsent(drive: Driver) -> None:
    with (
        closed_port() as (url, _),
        pytest.raises(errors.Veo3NoAnswerError, match="never sent; no credits were spent") as caught,
    ):
        drive(url, text(url))
    assert caught.value.sent is False
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://[::1",
        "http://a..b",
        f"http://{'a' * 64}.invalid",
        "https://x.invalid:1",
    ],
)
def test_an_unusable_address_is_reported_as_unsent(drive: Driver, base_url: str) -> None:
    with pytest.raises(errors.Veo3NoAnswerError) as caught:
        drive(base_url, text(base_url))
    assert caught.value.sent is False


@pytest.mark.parametrize("key", ["sk-live-0123456789", "veo3_a,b;c\\d&e0123"])
def test_a_key_of_any_form_is_not_shown_where_it_is_repeated(
    server: RawServer, drive: Driver, key: str
) -> None:
    server.script = [reply(400, f"You sent X-API-Key: {key}".encode())]
    with pytest.raises(errors.Veo3UnreadableAnswerError) as caught:
        drive(server.url, status(server.url), key=key)
    assert "X-API-Key: ***" in caught.value.body
    assert key[8:] not in f"{caught.value} {vars(caught.value)}"


SENT: dict[str, Action] = {
    "closed before the response": HANG_UP,
    "closed in the head": lambda connection: connection.sendall(b"HTTP/1."),
    "closed in the body": reply(202, samples.ACCEPTED, cut=40),
    "closed in a chunk": lambda connection: connection.sendall(
        b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\r\n"
    ),
    "not HTTP": lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "broken compression": reply(202, samples.ACCEPTED, {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("action", SENT)
def test_a_submission_without_a_response_is_not_repeated(
    server: RawServer, drive: Driver, clock: Clock, action: str
) -> None:
    server.script = [SENT[action]]
    with pytest.raises(errors.Veo3NoAnswerError, match="may have been accepted and charged") as caught:
        drive(server.url, text(server.url, Retries()))
    assert caught.value.sent is True
    assert len(server.received) == 1
    assert clock.pauses == []


@pytest.mark.parametrize("action", SENT)
def test_a_get_request_without_a_response_is_repeated(
    server: RawServer, drive: Driver, clock: Clock, action: str
) -> None:
    server.script = [SENT[action], SENT[action], reply(200, samples.COMPLETED)]
    generation = drive(server.url, status(server.url, Retries(jitter=lambda: 1.0)))
    assert generation.status is Status.COMPLETED
    assert len(server.received) == 3
    assert clock.pauses == [1.0, 2.0]


def test_a_submission_that_timed_out_may_have_been_accepted(server: RawServer, drive: Driver) -> None:
    server.script = [server.hang]
    with pytest.raises(errors.Veo3NoAnswerError, match="ReadTimeout") as caught:
        drive(server.url, text(server.url), timeout=2)  # which the connection must be made in, too
    assert caught.value.sent is True
    assert len(server.received) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: RawServer, drive: Driver, clock: Clock, code: int) -> None:
    with running_server() as elsewhere:
        elsewhere.script = [reply(202, samples.ACCEPTED)]
        server.script = [reply(code, b"", {"Location": f"{elsewhere.url}/api/veo/text-to-video"})]
        for flow in (
            (text(server.url, Retries())),
            (status(server.url, Retries(attempts=2))),
        ):
            unreadable = errors.Veo3UnreadableAnswerError
            with pytest.raises(unreadable, match="check the connection's host") as caught:
                drive(server.url, flow)
            assert caught.value.status == code
        assert elsewhere.connections == 0
    assert len(server.received) == 3, "a GET request is repeated: it may be a maintenance page"


def test_a_submission_is_repeated_after_a_429(server: RawServer, drive: Driver, clock: Clock) -> None:
    hint = {"X-RateLimit-Retry-After": "7"}
    server.script = [reply(429, samples.RATE_LIMIT, hint), reply(202, samples.ACCEPTED)]
    assert drive(server.url, text(server.url, Retries(jitter=lambda: 0.0))).id == ID
    assert len(server.received) == 2
    assert server.received[0].body == server.received[1].body
    assert clock.pauses == [7.0]


def test_a_submission_is_repeated_after_a_failed_connection(drive: Driver, clock: Clock) -> None:
    """The API starts during the first pause."""
    opened: list[RawServer] = []

    def start_server(seconds: float) -> None:
        if seconds and not opened:
            opened.append(stack.enter_context(running_server(listener=holder)))
            opened[0].script = [reply(202, samples.ACCEPTED)]

    clock.on_sleep = start_server
    with ExitStack() as stack:
        url, holder = stack.enter_context(closed_port())
        assert drive(url, text(url, Retries(jitter=lambda: 1.0))).id == ID
        assert len(opened[0].received) == 1
    assert clock.pauses == [1.0]


def test_after_a_server_error_a_get_request_is_repeated_but_no_submission(
    server: RawServer, drive: Driver, clock: Clock
) -> None:
    server.script = [reply(503, flat("X")), reply(200, samples.COMPLETED)]
    assert drive(server.url, status(server.url, Retries(jitter=lambda: 1.0))).status is Status.COMPLETED
    server.script = [reply(503, flat("X")), reply(202, samples.ACCEPTED)]
    with pytest.raises(errors.Veo3ServerError):
        drive(server.url, text(server.url, Retries()))
    assert len(server.received) == 3
    assert clock.pauses == [1.0]


def test_requests_keep_to_the_rate_limit(server: RawServer, drive: Driver, clock: Clock) -> None:
    server.script = [reply(200, samples.COMPLETED)]
    drive(server.url, *(status(server.url) for _ in range(14)), per_minute=60.0)
    assert len(server.received) == 14
    # a burst of 10 leaves 50 places for the rest of the minute
    assert clock.slept == pytest.approx([0.0] * 10 + [60 / 51] * 4, abs=1e-6)


RESPONSES = {
    "plain": reply(200, samples.COMPLETED),
    "with a mark": reply(200, b"\xef\xbb\xbf" + json.dumps(samples.COMPLETED).encode()),
    "labelled as text": reply(200, samples.COMPLETED, {"Content-Type": "text/html; charset=latin-1"}),
    "chunked": lambda connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in json.dumps(samples.COMPLETED).encode())
        + b"0\r\n\r\n"
    ),
    "with odd headers": reply(200, samples.COMPLETED, {"X-Odd": "ü", "Set-Cookie": "a=b", "SERVER": ""}),
    "an empty body": reply(200, b""),
    "html": reply(502, b"<html>"),
    "no credits": reply(402, samples.NO_CREDITS),
    "limited": reply(429, samples.RATE_LIMIT, {"x-ratelimit-retry-after": "600"}),
    "another charset": reply(200, json.dumps(samples.COMPLETED).encode("utf-16")),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_both_transports_read_a_response_alike(server: RawServer, name: str) -> None:
    server.script = [RESPONSES[name]]
    ends = []
    for kind in ("sync", "async"):
        try:
            ends.append(repr(Driver(kind)(server.url, status(server.url))))
        except errors.Veo3ApiError as error:
            ends.append(f"{error!r} {vars(error)}")
    assert ends[0] == ends[1]
    assert ("Status.COMPLETED" in ends[0]) == (name in list(RESPONSES)[:5])


def test_a_connection_that_the_server_closed_is_replaced(server: RawServer, drive: Driver) -> None:
    """The server closes each connection though the client would keep it."""
    server.script = [reply(200, samples.COMPLETED, {"Connection": "keep-alive"})]
    runs: list[Callable[[], Any]] = [
        lambda: drive(server.url, *(status(server.url, Retries()) for _ in range(3)))
    ]
    assert [run().status for run in runs] == [Status.COMPLETED]
    assert len(server.received) == 3
