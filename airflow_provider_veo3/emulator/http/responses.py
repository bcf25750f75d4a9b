"""HTTP responses, and the faults of their delivery."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.http.response_bodies import Body, BytesBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Send

    from airflow_provider_veo3.emulator.http.connection import Connection
    from airflow_provider_veo3.emulator.service.faults import Fault

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
CORRUPT_LENGTH = 64
GARBAGE = bytes(range(128, 256)) + b'{"success": tru'
INJECTED = b'{"success": false, "error": "INJECTED_FAULT", "message": "Injected fault"}'
WEB_PAGE = (
    b"<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    b"<body>Checking your browser.</body></html>"
)


@dataclasses.dataclass
class Response:
    """A response that is ready to be sent.

    :param body: the whole body; the bytes from ``start`` to ``stop`` are sent.
    """

    status: int
    headers: dict[str, str]
    body: Body
    start: int = 0
    stop: int = 0

    @classmethod
    def of_bytes(cls, status: int, content_type: str, data: bytes) -> Response:
        """Return a response with a short body."""
        return cls(status, {"Content-Type": content_type}, BytesBody(data), 0, len(data))

    @classmethod
    def of_json(cls, status: int, data: Any) -> Response:
        """Return a response with a JSON body."""
        return cls.of_bytes(status, JSON_TYPE, json.dumps(data, ensure_ascii=False).encode())

    @property
    def length(self) -> int:
        """Number of bytes to send."""
        return self.stop - self.start


def storage_error(status: int, code: str, message: str) -> Response:
    """Return an error of the file host, in the form of an object store."""
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    text = f"<?xml version='1.0' encoding='UTF-8'?>{error}"
    return Response.of_bytes(status, "application/xml; charset=UTF-8", text.encode())


def no_such_file() -> Response:
    """Return the error of an unknown file."""
    return storage_error(404, "NoSuchKey", "The specified key does not exist.")


def expired_url(status: int) -> Response:
    """Return the refusal of an expired URL."""
    if status == 404:  # noqa: PLR2004 - an HTTP status
        return no_such_file()
    return storage_error(status, "ExpiredToken", "The provided token has expired.")


def fault_response(fault: Fault, expired_url_status: int) -> Response:
    """Return the response of a fault that replaces the service's response."""
    if fault.kind == "expire":
        response = expired_url(expired_url_status)
    else:
        defaults = {
            "garbage": (200, JSON_TYPE, GARBAGE),
            "html_instead": (200, HTML_TYPE, WEB_PAGE),
            "redirect": (302, "text/plain", b""),
        }
        status, content_type, data = defaults.get(fault.kind, (500, JSON_TYPE, INJECTED))
        if isinstance(fault.body, str):
            data, content_type = fault.body.encode(), TEXT_TYPE
        elif fault.body is not None:
            data, content_type = json.dumps(fault.body).encode(), JSON_TYPE
        response = Response.of_bytes(fault.status or status, fault.content_type or content_type, data)
    if fault.location:
        response.headers["Location"] = fault.location
    # An empty header is not sent, and keeps the rate limit header of the same name from being added.
    response.headers |= {name: text or "" for name, text in fault.headers.items()}
    return response


async def deliver(
    response: Response,
    connection: Connection,
    send: Send,
    fault: Fault | None,
    count: Callable[[int], None],
) -> None:
    """Send a response with the fault of its delivery.

    :param count: is called with the size of each chunk, just before the chunk is sent.
    """
    kind = fault.kind if fault else ""
    position = _position(response, fault)
    headers = dict(response.headers)
    if kind != "no_length":
        headers["Content-Length"] = str(position if kind == "wrong_length" else response.length)
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": encoded})

    async def push(start: int, stop: int) -> None:
        chunks: Iterator[bytes] = response.body.read(response.start + start, response.start + stop)
        for chunk in _corrupted(chunks, start, position) if kind == "corrupt" else chunks:
            if connection.closing:
                return
            count(len(chunk))
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    end = min(position, response.length)
    match kind:
        case "disconnect_mid_body":
            await push(0, end)
            await connection.reset()
        case "truncate":
            await push(0, end)
            await connection.end()
        case "wrong_length":
            await push(0, end)
            if position > response.length:
                await connection.end()
        case "stall":
            await push(0, end)
            await connection.pause(fault.seconds if fault else 0)
            await push(end, response.length)
        case _:
            await push(0, response.length)
    if connection.closing:
        await connection.disconnected()
    else:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _position(response: Response, fault: Fault | None) -> int:
    """Return the position in the body at which a fault acts."""
    if fault is None:
        return 0
    if fault.bytes is not None:
        return fault.bytes
    return 0 if fault.kind == "corrupt" else response.length // 2


def _corrupted(chunks: Iterator[bytes], at: int, position: int) -> Iterator[bytes]:
    """Yield the chunks with some bytes inverted from a position on."""
    for chunk in chunks:
        low, high = max(position - at, 0), min(position + CORRUPT_LENGTH - at, len(chunk))
        if low < high:
            inverted = bytes(byte ^ 0xFF for byte in chunk[low:high])
            yield chunk[:low] + inverted + chunk[high:]
        else:
            yield chunk
        at += len(chunk)
