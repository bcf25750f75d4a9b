"""An HTTP answer, and the ways in which its delivery can go wrong."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.http.bodies import Body, BytesBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Send

    from airflow_provider_veo3.emulator.http.connection import Connection
    from airflow_provider_veo3.emulator.service.faults import Fault

JSON_TYPE = "application/json; charset=utf-8"
CORRUPT_LENGTH = 64
GARBAGE = bytes(range(128, 256)) + b'{"success": tru'
INJECTED = b'{"success": false, "error": "INJECTED_FAULT", "message": "Injected fault"}'
WEB_PAGE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    "<body>Checking your browser.</body></html>"
)


@dataclasses.dataclass
class Reply:
    """An answer that is ready to be sent: the part of the body from start to stop."""

    status: int
    headers: dict[str, str]
    body: Body
    start: int = 0
    stop: int = 0

    @classmethod
    def of_bytes(cls, status: int, content_type: str, data: bytes) -> Reply:
        """An answer with a short body."""
        return cls(status, {"Content-Type": content_type}, BytesBody(data), 0, len(data))

    @classmethod
    def of_json(cls, status: int, data: Any) -> Reply:
        """An answer with JSON in it."""
        return cls.of_bytes(status, JSON_TYPE, json.dumps(data, ensure_ascii=False).encode())

    @property
    def length(self) -> int:
        """Bytes to send."""
        return self.stop - self.start


def fault_reply(fault: Fault, expired: Reply) -> Reply:
    """The answer that a fault gives in place of the real one.

    :param expired: how the file host refuses an expired URL.
    """
    if fault.kind == "expire":
        return expired
    defaults: dict[str, tuple[int, str, bytes]] = {
        "garbage": (200, JSON_TYPE, GARBAGE),
        "html_instead": (200, "text/html; charset=utf-8", WEB_PAGE.encode()),
        "redirect": (302, "text/plain", b""),
    }
    status, content_type, data = defaults.get(fault.kind, (500, JSON_TYPE, INJECTED))
    if isinstance(fault.body, str):
        data, content_type = fault.body.encode(), "text/plain; charset=utf-8"
    elif fault.body is not None:
        data, content_type = json.dumps(fault.body).encode(), JSON_TYPE
    reply = Reply.of_bytes(fault.status or status, fault.content_type or content_type, data)
    if fault.location:
        reply.headers["Location"] = fault.location
    return reply


async def deliver(
    reply: Reply,
    connection: Connection,
    send: Send,
    fault: Fault | None,
    sent: Callable[[int], None],
) -> None:
    """Send an answer, or what the fault leaves of it.

    :param sent: is told the size of each chunk just before it goes out.
    """
    kind = fault.kind if fault else ""
    strike = _strike(reply, fault)
    headers = dict(reply.headers)
    if kind != "no_length":
        headers["Content-Length"] = str(strike if kind == "wrong_length" else reply.length)
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})

    async def push(start: int, stop: int) -> None:
        chunks: Iterator[bytes] = reply.body.read(reply.start + start, reply.start + stop)
        for chunk in _corrupted(chunks, start, strike) if kind == "corrupt" else chunks:
            if connection.closing:
                return
            sent(len(chunk))
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    whole = reply.length
    if kind in ("disconnect_mid_body", "truncate"):
        await push(0, min(strike, whole))
        await (connection.reset() if kind == "disconnect_mid_body" else connection.end())
        return
    if kind == "wrong_length":
        await push(0, min(strike, whole))
        if strike > whole:
            await connection.end()
            return
    elif kind == "stall":
        await push(0, min(strike, whole))
        await connection.pause(fault.seconds if fault else 0)
        await push(min(strike, whole), whole)
    else:
        await push(0, whole)
    if not connection.closing:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _strike(reply: Reply, fault: Fault | None) -> int:
    """Where in the body a fault strikes."""
    if fault is None:
        return 0
    if fault.bytes is not None:
        return fault.bytes
    return 0 if fault.kind == "corrupt" else reply.length // 2


def _corrupted(chunks: Iterator[bytes], at: int, strike: int) -> Iterator[bytes]:
    """The chunks with some bytes inverted from ``strike`` on."""
    for chunk in chunks:
        low, high = max(strike - at, 0), min(strike + CORRUPT_LENGTH - at, len(chunk))
        if low < high:
            inverted = bytes(byte ^ 0xFF for byte in chunk[low:high])
            yield chunk[:low] + inverted + chunk[high:]
        else:
            yield chunk
        at += len(chunk)
