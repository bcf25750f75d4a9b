"""Delivery of a response to the client, with the fault of its delivery."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from airflow_provider_veo3.emulator.http.fault_responses import position_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Send

    from airflow_provider_veo3.emulator.http.connection import Connection
    from airflow_provider_veo3.emulator.http.responses import Response
    from airflow_provider_veo3.emulator.service.faults import Fault

CORRUPT_LENGTH = 64
# Responses with these statuses have no body.
BODILESS = (204, 304)
# Kinds of faults that send the body up to their position only.
PARTIAL = ("disconnect_mid_body", "truncate", "wrong_length", "end_early")
_INVERTED = bytes(byte ^ 0xFF for byte in range(256))
_WINDOW_BITS = {"gzip": 31, "deflate": 15}


class Delivery:
    """A response on its way to the client.

    :param count: is called with the size of each chunk, just before the chunk is sent.
    """

    def __init__(
        self,
        response: Response,
        connection: Connection,
        send: Send,
        fault: Fault | None,
        count: Callable[[int], None],
    ) -> None:
        self._response = response
        self._connection = connection
        self._send = send
        self._kind, self._seconds = (fault.kind, fault.seconds) if fault else ("", 0.0)
        self._position = position_of(response, fault)
        self._count = count
        self._encode, self._rest = _encoder(response.encoding)

    async def run(self) -> None:
        """Send the response."""
        kind, connection = self._kind, self._connection
        await self._start()
        length = self._response.length
        middle = min(self._position, length)
        await self._push(0, middle)
        if kind == "drip":
            await self._drip(middle)
        elif kind not in PARTIAL:
            if kind == "stall":
                await connection.pause(self._seconds)
            await self._push(middle, length)
            await self._push_bytes(self._rest())
        if kind == "disconnect_mid_body":
            await connection.reset()
        elif kind == "truncate" or (kind == "wrong_length" and self._position > length):
            await connection.end()
        if connection.closing:
            await connection.disconnected()
        else:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self) -> None:
        response, headers = self._response, dict(self._response.headers)
        if response.status in BODILESS:
            response.stop = response.start
        elif response.sized:
            length = self._position if self._kind == "wrong_length" else response.length
            headers["Content-Length"] = str(length)
        encoded = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
        ]
        await self._send({"type": "http.response.start", "status": response.status, "headers": encoded})

    def _chunks(self, start: int, stop: int) -> Iterator[bytes]:
        response = self._response
        chunks = response.body.read(response.start + start, response.start + stop)
        return _corrupted(chunks, start, self._position) if self._kind == "corrupt" else chunks

    async def _push(self, start: int, stop: int) -> None:
        for chunk in self._chunks(start, stop):
            if self._connection.closing:
                return
            await self._push_bytes(self._encode(chunk))

    async def _drip(self, start: int) -> None:
        for chunk in self._chunks(start, self._response.length):
            for number in range(len(chunk)):
                await self._connection.pause(self._seconds)
                if self._connection.closing or self._connection.stopping.is_set():
                    return
                await self._push_bytes(self._encode(chunk[number : number + 1]))
        await self._push_bytes(self._rest())

    async def _push_bytes(self, data: bytes) -> None:
        if data and not self._connection.closing:
            self._count(len(data))
            await self._send({"type": "http.response.body", "body": data, "more_body": True})


def _encoder(encoding: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    """Return the functions that encode a chunk, and that end the encoded body."""
    if encoding in _WINDOW_BITS:
        compressor = zlib.compressobj(wbits=_WINDOW_BITS[encoding])
        return compressor.compress, compressor.flush
    if encoding == "unknown":
        return (lambda data: data.translate(_INVERTED)), bytes
    return (lambda data: data), bytes


def _corrupted(chunks: Iterator[bytes], at: int, position: int) -> Iterator[bytes]:
    """Yield the chunks with some bytes inverted from a position on."""
    for chunk in chunks:
        low, high = max(position - at, 0), min(position + CORRUPT_LENGTH - at, len(chunk))
        if low < high:
            yield chunk[:low] + chunk[low:high].translate(_INVERTED) + chunk[high:]
        else:
            yield chunk
        at += len(chunk)
