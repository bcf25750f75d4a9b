"""HTTP responses of the API and of the file host."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from airflow_provider_veo3.emulator.http.response_bodies import CHUNK, Body, BytesBody, FilledBody

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
ENCODINGS = {"gzip": "gzip", "deflate": "deflate", "unknown": "x-veo3"}
"""The header Content-Encoding of each encoding."""


@dataclasses.dataclass
class Response:
    """A response that is ready to be sent.

    :param body: the whole body; the bytes from ``start`` to ``stop`` are sent.
    :param encoding: encoding of the body, a key of ``ENCODINGS``, or ``none``.
    :param sized: whether the response has a ``Content-Length``.
    """

    status: int
    headers: dict[str, str]
    body: Body
    start: int = 0
    stop: int = 0
    encoding: str = "none"
    sized: bool = True

    @classmethod
    def of_bytes(cls, status: int, content_type: str, data: bytes) -> Response:
        """Return a response with a short body."""
        return cls(status, {"Content-Type": content_type}, BytesBody(data), 0, len(data))

    @classmethod
    def of_json(cls, status: int, data: Any) -> Response:
        """Return a response with a JSON body."""
        return cls.of_bytes(status, JSON_TYPE, json.dumps(data, ensure_ascii=False).encode())

    def fill(self, size: int, tail: bytes = b"", *, filler: bytes = b" ") -> None:
        """Extend a short body to a size.

        :param tail: end of the body, behind the filler.
        :param filler: a single character.
        """
        head = b"".join(self.body.read(0, self.body.size))
        blocks, rest = divmod(max(0, size - len(head) - len(tail)), CHUNK)
        block = filler * CHUNK
        self.send_all(FilledBody(head, lambda _: block, blocks, filler * rest + tail))

    def send_all(self, body: Body) -> None:
        """Replace the body."""
        self.body, self.start, self.stop = body, 0, body.size

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
