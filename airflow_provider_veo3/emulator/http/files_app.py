"""The file host: another origin, where signed URLs open videos for a while."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING

from starlette.requests import Request

from airflow_provider_veo3.emulator.http.bodies import Body, FileBody, NoiseBody
from airflow_provider_veo3.emulator.http.exchange import Exchange
from airflow_provider_veo3.emulator.http.reply import Reply
from airflow_provider_veo3.emulator.service.faults import Target
from airflow_provider_veo3.emulator.service.links import BUCKET_PATH, video_path
from airflow_provider_veo3.emulator.service.tasks import State
from airflow_provider_veo3.emulator.video.videos import script_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from airflow_provider_veo3.emulator.service.tasks import Fetches, Task
    from airflow_provider_veo3.emulator.service.world import World
    from airflow_provider_veo3.emulator.video.videos import Videos

_PATH = re.compile(re.escape(BUCKET_PATH) + r"/([^/]+)/sample_(\d{1,3})\.mp4")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def storage_error(status: int, code: str, message: str) -> Reply:
    """An error in the form of an object store."""
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    text = f"<?xml version='1.0' encoding='UTF-8'?>{error}"
    return Reply.of_bytes(status, "application/xml; charset=UTF-8", text.encode())


def expired_reply(status: int) -> Reply:
    """The refusal of a URL whose time is over."""
    if status == 404:  # noqa: PLR2004 - an HTTP status
        return storage_error(status, "NoSuchKey", "The specified key does not exist.")
    return storage_error(status, "ExpiredToken", "The provided token has expired.")


class Files:
    """An ASGI application that serves the videos."""

    def __init__(self, world: World, videos: Videos) -> None:
        self._world = world
        self._videos = videos

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        status = self._world.settings.expired_url_status
        exchange = Exchange(self._world, Request(scope, receive), "file", expired_reply(status))
        if exchange.secret:
            self._world.record_leak(exchange.request.url.path, exchange.secret)
        counter = _Counter()
        await exchange.respond(lambda exchange: self._answer(exchange, counter), send, counter.add)

    async def _answer(self, exchange: Exchange, counter: _Counter) -> Reply:
        request = exchange.request
        match = _PATH.fullmatch(request.url.path)
        task = self._world.peek(match[1]) if match else None
        if match is None or task is None:
            return storage_error(404, "NoSuchKey", "The specified key does not exist.")
        exchange.task, index = task, int(match[2])
        exchange.note = f"sample_{index}"
        owner = self._world.secret_of(task)
        target = Target("file", owner, task.id, task.parameters.prompt)
        await exchange.meet_faults(target)
        if request.method not in ("GET", "HEAD"):
            return storage_error(405, "MethodNotAllowed", "The method is not allowed.")
        refusal = self._refusal(exchange, task, index)
        if refusal is not None:
            return refusal
        body = await self._body(task, index)
        etag = hashlib.md5(f"{task.id}/{index}/{body.size}".encode(), usedforsecurity=False).hexdigest()
        reply = exchange.meet_reply_faults(target, _whole(body, f'"{etag}"'))
        ignore = exchange.body_fault is not None and exchange.body_fault.kind == "ignore_range"
        if request.method == "GET" and not ignore:
            _apply_range(reply, request.headers.get("range"), request.headers.get("if-range"))
        exchange.note += f" {reply.headers.get('Content-Range', f'{body.size} bytes')}"
        if request.method == "GET" and reply.status != 416:  # noqa: PLR2004 - an HTTP status
            counter.watch(task, index)
        return reply

    def _refusal(self, exchange: Exchange, task: Task, index: int) -> Reply | None:
        world, settings = self._world, self._world.settings
        if settings.signed_urls:
            expiry = world.signer.expiry(video_path(task.id, index), exchange.request.query_params)
        else:
            expiry = task.ends_at + settings.scaled(settings.link_lifetime_seconds)
        if expiry is None:
            return storage_error(403, "SignatureDoesNotMatch", "The signature does not match.")
        if world.clock.now() >= expiry:
            return exchange.expired
        if task.state(world.clock.now()) is not State.COMPLETED or index >= task.samples:
            return storage_error(404, "NoSuchKey", "The specified key does not exist.")
        return None

    async def _body(self, task: Task, index: int) -> Body:
        if task.file_size is not None:
            return NoiseBody(task.file_size)
        return FileBody(await asyncio.wrap_future(self._videos.prepare(script_of(task, index))))


class _Counter:
    """Counts what is sent of a video in the ledger."""

    def __init__(self) -> None:
        self._fetches: Fetches | None = None

    def watch(self, task: Task, index: int) -> None:
        self._fetches = task.fetched(index)
        self._fetches.requests += 1

    def add(self, count: int) -> None:
        if self._fetches is not None:
            self._fetches.bytes += count


def _whole(body: Body, etag: str) -> Reply:
    headers = {
        "Content-Type": "video/mp4",
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Cache-Control": "private, max-age=0",
    }
    return Reply(200, headers, body, 0, body.size)


def _apply_range(reply: Reply, wanted: str | None, if_range: str | None) -> None:
    """Narrow the answer to the part that was asked for; several parts at once get the whole."""
    match = _RANGE.fullmatch((wanted or "").strip())
    if match is None or not (match[1] or match[2]):
        return
    if if_range is not None and if_range != reply.headers["ETag"]:
        return
    size = reply.body.size
    if match[1]:
        start, stop = int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)
        if match[2] and int(match[2]) < start:
            # Such a range means nothing, and HTTP wants it ignored.
            return
    else:
        start, stop = max(0, size - int(match[2])), size
    if start >= size:
        reply.status = 416
        reply.headers["Content-Range"] = f"bytes */{size}"
        reply.start = reply.stop = 0
        return
    reply.status = 206
    reply.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    reply.start, reply.stop = start, stop
