"""One request from its arrival to its entry in the ledger; what the API and the file host have in common."""

from __future__ import annotations

import dataclasses
import logging
from email.utils import formatdate
from typing import TYPE_CHECKING

from starlette.requests import Request

from airflow_provider_veo3.emulator.http.connection import Connection
from airflow_provider_veo3.emulator.http.reply import Reply, deliver, fault_reply
from airflow_provider_veo3.emulator.service.accounts import fingerprint
from airflow_provider_veo3.emulator.service.faults import INSTEAD, REPLY, WAIT, Fault, Target
from airflow_provider_veo3.emulator.service.ledger import CUT, Entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from airflow_provider_veo3.emulator.service.tasks import Task
    from airflow_provider_veo3.emulator.service.world import World

API_KEY_HEADER = "X-API-Key"

log = logging.getLogger("airflow_provider_veo3.emulator")


class Cut(Exception):  # noqa: N818 - an instruction, not an error
    """The connection is to be cut instead of an answer."""


class Instead(Exception):  # noqa: N818 - an instruction, not an error
    """A fault answers in place of the service."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@dataclasses.dataclass
class Exchange:
    """A request and what has become of it so far.

    :param endpoint: its name in faults, in the ledger and in the log.
    :param note: what the log line says at its end.
    """

    world: World
    request: Request
    endpoint: str
    expired: Reply
    task: Task | None = None
    task_id: str | None = None
    note: str = ""
    faults: list[Fault] = dataclasses.field(default_factory=list)
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body_fault: Fault | None = None

    @property
    def secret(self) -> str | None:
        """The API key that came with the request."""
        return self.request.headers.get(API_KEY_HEADER)

    @property
    def connection(self) -> Connection:
        """The connection below the request."""
        return Connection.of(self.request.scope)

    def take(self, stage: str, target: Target) -> Fault | None:
        """The fault that meets this request at a stage."""
        fault = self.world.faults.take(stage, target)
        if fault is not None:
            self.faults.append(fault)
        return fault

    async def meet_faults(self, target: Target) -> None:
        """Let the faults act that come before the service sees the request."""
        wait = self.take(WAIT, target)
        if wait is not None:
            await self.connection.pause(wait.seconds)
        fault = self.take(INSTEAD, target)
        if fault is None:
            return
        if fault.kind == "disconnect_before":
            raise Cut
        raise Instead(self._faulty(fault))

    def meet_reply_faults(self, target: Target, reply: Reply) -> Reply:
        """Let the faults act that spoil a successful answer."""
        fault = self.take(REPLY, target)
        if fault is None:
            return reply
        if fault.kind == "accept_then_disconnect":
            raise Cut
        if fault.kind == "accept_then_status":
            return self._faulty(fault)
        self.body_fault = fault
        return reply

    def _faulty(self, fault: Fault) -> Reply:
        reply = fault_reply(fault, self.expired)
        for name, value in fault.headers.items():
            # An empty value overrides a rate limit header with nothing, see respond().
            reply.headers[name] = "" if value is None else value
        return reply

    async def respond(
        self,
        answer: Callable[[Exchange], Awaitable[Reply]],
        send: Send,
        sent: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Get the answer, write it down, then send it; in this order, so that the ledger is never late."""
        try:
            reply = await answer(self)
        except Instead as instead:
            reply = instead.reply
        except Cut:
            self._record(CUT)
            await self.connection.reset()
            return
        given = {name.lower() for name in reply.headers}
        common = self.headers | self._date()
        extra = {name: value for name, value in common.items() if name.lower() not in given}
        reply.headers = {name: value for name, value in (reply.headers | extra).items() if value}
        self._record(str(reply.status))
        await deliver(reply, self.connection, send, self.body_fault, sent)

    def _date(self) -> dict[str, str]:
        now = self.world.clock.now()
        return {"Date": formatdate(now, usegmt=True)} if self.world.settings.date_header else {}

    def _record(self, status: str) -> None:
        if self.task is not None:
            self.task_id = self.task.id
        path, key = self.request.url.path, fingerprint(self.secret)
        names = ", ".join(fault.kind for fault in self.faults) or None
        method, endpoint = self.request.method, self.endpoint
        now = self.world.clock.now()
        self.world.record(Entry(now, method, endpoint, path, status, key, self.task_id, names))
        parts = [method, endpoint, status, self.task_id or "", self.note, f"[{names}]" if names else ""]
        log.info(" ".join(part for part in parts if part))


class Endpoint:
    """An ASGI application around one answering function."""

    def __init__(
        self,
        name: str,
        start: Callable[[Request, str], Exchange],
        answer: Callable[[Exchange], Awaitable[Reply]],
    ) -> None:
        self._name = name
        self._start = start
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = self._start(Request(scope, receive), self._name)
        await exchange.respond(self._answer, send)
