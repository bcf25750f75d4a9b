"""The processing of a request, common to the API and the file host."""

from __future__ import annotations

import logging
from email.utils import formatdate
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from airflow_provider_veo3.emulator.http.connection import Connection
from airflow_provider_veo3.emulator.http.delivery import Delivery
from airflow_provider_veo3.emulator.http.fault_responses import fault_response, spoil
from airflow_provider_veo3.emulator.http.response_bodies import BytesBody
from airflow_provider_veo3.emulator.http.responses import Response
from airflow_provider_veo3.emulator.service.accounts import fingerprint
from airflow_provider_veo3.emulator.service.catalog import GENERATIONS
from airflow_provider_veo3.emulator.service.errors import ApiError
from airflow_provider_veo3.emulator.service.faults import DELAY, INSTEAD, RESPONSE, Fault, Target
from airflow_provider_veo3.emulator.service.ledger import CUT, Entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Send

    from airflow_provider_veo3.emulator.service.service import Service
    from airflow_provider_veo3.emulator.service.tasks import Fetches, Task

API_KEY_HEADER = "X-API-Key"
CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
    "X-RateLimit-Retry-After, Retry-After, Date, Content-Length, Content-Range, Accept-Ranges, ETag",
}
"""Headers with which browsers let web pages of any origin read a response."""

log = logging.getLogger("airflow_provider_veo3.emulator")


class Cut(Exception):  # noqa: N818 - an instruction, not an error
    """Instruction to reset the connection instead of sending a response."""


class Instead(Exception):  # noqa: N818 - an instruction, not an error
    """Instruction to send the response of a fault instead of the service's response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def _preflight(request: Request) -> Response:
    """Return the response to a browser that asks for permission to send a request."""
    headers = {
        "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
        "Access-Control-Allow-Headers": request.headers.get(
            "Access-Control-Request-Headers", f"{API_KEY_HEADER}, Content-Type"
        ),
        "Access-Control-Max-Age": "600",
    }
    return Response(204, headers, BytesBody(b""))


class Exchange:
    """A request and the state of its processing.

    :param endpoint: name of the endpoint in faults, in the ledger and in the log.
    """

    def __init__(self, service: Service, request: Request, endpoint: str) -> None:
        self.service = service
        self.request = request
        self.endpoint = endpoint
        self.task: Task | None = None
        """The task that the request is about, once it is found."""
        self.task_id: str | None = None
        """The task id of the request; the task may not exist."""
        self.note = ""
        """End of the log line."""
        self.headers: dict[str, str] = {}
        """Headers of every response, whether of the service or of a fault."""
        self.fetches: Fetches | None = None
        """Counter of the bytes that are sent."""
        self.delivery_fault: Fault | None = None
        """Fault of the delivery of the response."""
        self._target = Target(endpoint)
        self._faults: list[Fault] = []

    @property
    def secret(self) -> str | None:
        """The API key of the request."""
        return self.request.headers.get(API_KEY_HEADER)

    def take_fault(self, stage: str) -> Fault | None:
        """Return the fault that the request meets at a stage."""
        fault = self.service.take_fault(stage, self._target)
        if fault is not None:
            self._faults.append(fault)
        return fault

    async def apply_request_faults(
        self, secret: str | None, task_id: str | None = None, prompt: str | None = None
    ) -> None:
        """Apply the faults that act before the service sees the request.

        :param secret: API key that faults match; a file request counts as its task's key.
        :param task_id: task id that faults match.
        :param prompt: prompt that faults match.
        """
        self._target = Target(self.endpoint, secret, task_id, prompt)
        delay = self.take_fault(DELAY)
        if delay is not None:
            await Connection.of(self.request.scope).pause(delay.seconds)
        fault = self.take_fault(INSTEAD)
        if fault is None:
            return
        if fault.kind == "disconnect_before":
            raise Cut
        if fault.kind == "refuse":
            raise ApiError(fault.status or 400, fault.code or "", fault.error)
        raise Instead(self._response_of(fault))

    def apply_response_fault(self, response: Response) -> Response:
        """Apply the fault that spoils a successful response, and return the response to send."""
        fault = self.take_fault(RESPONSE)
        if fault is None:
            return response
        if fault.kind == "accept_then_disconnect":
            raise Cut
        if fault.kind == "accept_then_status":
            return self._response_of(fault)
        response, self.delivery_fault = spoil(response, fault)
        return response

    def _response_of(self, fault: Fault) -> Response:
        return fault_response(fault, self.service.settings.expired_url_status)

    async def respond(self, handler: Callable[[Exchange], Awaitable[Response]], send: Send) -> None:
        """Get the response, record it in the ledger, then send it.

        In this order, so that the ledger is never behind the client.
        """
        connection = Connection.of(self.request.scope)
        cors, is_preflight = self.service.settings.cors, self.request.method == "OPTIONS"
        try:
            response = _preflight(self.request) if cors and is_preflight else await handler(self)
        except Instead as instead:
            response = instead.response
        except ClientDisconnect:
            self._record(CUT)
            return
        except Cut:
            self._record(CUT)
            await connection.reset()
            return
        given = {name.lower() for name in response.headers}
        common = self.headers | self._date() | (CORS_HEADERS if cors else {})
        added = {name: text for name, text in common.items() if name.lower() not in given}
        response.headers = {name: text for name, text in (response.headers | added).items() if text}
        self._record(str(response.status))
        await Delivery(response, connection, send, self.delivery_fault, self._count).run()

    def _date(self) -> dict[str, str]:
        settings = self.service.settings
        now = self.service.clock.now() + settings.date_offset_seconds
        return {"Date": formatdate(now, usegmt=True)} if settings.date_header else {}

    def _count(self, sent: int) -> None:
        if self.fetches is not None:
            self.fetches.bytes += sent

    def _record(self, status: str) -> None:
        task_id = self.task_id
        if self.task is not None:
            task_id = self.task.id
            if self.endpoint in GENERATIONS:
                self.task.sent_status = status
        method, key = self.request.method, fingerprint(self.secret) if self.secret is not None else None
        faults = ", ".join(fault.kind for fault in self._faults) or None
        path, now = self.request.scope["path"], self.service.clock.now()
        self.service.record(Entry(now, method, self.endpoint, path, status, key, task_id, faults))
        parts = [method, self.endpoint, status, task_id or "", self.note, f"[{faults}]" if faults else ""]
        log.info(" ".join(part for part in parts if part))
