"""Injected faults: rules that make the emulator misbehave."""

from __future__ import annotations

import dataclasses
import random
import threading
from typing import Annotated, Any, NamedTuple, Self

import pydantic.dataclasses
from pydantic import AfterValidator, Field

from airflow_provider_veo3.emulator.config.options import HEADER_TEXT, STRICT
from airflow_provider_veo3.emulator.service.accounts import fingerprint
from airflow_provider_veo3.emulator.service.catalog import GENERATIONS

READS = ("status", "download")
API = (*GENERATIONS, *READS, "history", "models")
FILE = ("file",)
EVERYWHERE = (*API, *FILE)

# A request meets at most one fault of each stage, so that a delay and a cut connection can be combined.
DELAY, INSTEAD, TASK, RESPONSE = "delay", "instead", "task", "response"


class Kind(NamedTuple):
    """A kind of fault.

    :param stage: the stage of a request at which the fault acts.
    :param endpoints: the endpoints where it has an effect.
    :param does: the effect, for the docs.
    :param needs: the field without which the fault makes no sense.
    """

    stage: str
    endpoints: tuple[str, ...]
    does: str
    needs: str | None = None


KINDS: dict[str, Kind] = {
    "delay": Kind(DELAY, EVERYWHERE, "the request waits for ``seconds``, then continues"),
    "status": Kind(
        INSTEAD,
        EVERYWHERE,
        "a response with ``status``; the service does not see the request",
        needs="status",
    ),
    "refuse": Kind(
        INSTEAD,
        API,
        "an error of the API in its envelope, with ``code``, ``error`` as the message, and ``status``: 400 "
        "by default, 200 for an error inside a success; the service does not see the request",
        needs="code",
    ),
    "garbage": Kind(INSTEAD, EVERYWHERE, "a response 200 with bytes that are not JSON"),
    "html_instead": Kind(INSTEAD, EVERYWHERE, "a response 200 with a web page, as a proxy sends it"),
    "redirect": Kind(INSTEAD, EVERYWHERE, "a response 302 to ``location``", needs="location"),
    "disconnect_before": Kind(
        INSTEAD, EVERYWHERE, "the connection is reset; the service does not see the request"
    ),
    "expire": Kind(INSTEAD, FILE, "the URL is refused as expired"),
    "fail_generation": Kind(
        TASK, GENERATIONS, "the accepted generation fails at its end with ``error``, and is refunded"
    ),
    "report_failed": Kind(
        TASK,
        (*GENERATIONS, *READS),
        "the API reports the generation as failed for ``seconds``, then as it is; with a submission the time "
        "begins ``after`` seconds from the acceptance, with status and download from that request",
    ),
    "no_videos": Kind(TASK, GENERATIONS, "the accepted generation completes without a file"),
    "drop_sample": Kind(TASK, GENERATIONS, "the accepted generation completes with one file less"),
    "lose_task": Kind(TASK, (*GENERATIONS, *READS), "the API no longer knows the generation"),
    "accept_then_status": Kind(
        RESPONSE, GENERATIONS, "accepted and charged, but the response has ``status``", needs="status"
    ),
    "accept_then_disconnect": Kind(
        RESPONSE, GENERATIONS, "accepted and charged, but the connection is reset"
    ),
    "disconnect_mid_body": Kind(RESPONSE, EVERYWHERE, "the connection is reset after ``bytes`` of the body"),
    "truncate": Kind(RESPONSE, EVERYWHERE, "the connection is closed after ``bytes`` of the body"),
    "wrong_length": Kind(
        RESPONSE, EVERYWHERE, "``Content-Length`` is ``bytes``; the body ends there or earlier"
    ),
    "no_length": Kind(RESPONSE, EVERYWHERE, "the response has no ``Content-Length``"),
    "end_early": Kind(
        RESPONSE,
        EVERYWHERE,
        "the response has no ``Content-Length`` and ends after ``bytes``, so that nothing shows the cut",
    ),
    "short_file": Kind(
        RESPONSE,
        FILE,
        "the file is ``bytes`` long, as if nothing more had been stored, and ``Content-Length`` agrees",
    ),
    "huge_body": Kind(
        RESPONSE,
        API,
        "the response gets a field ``padding`` that makes it ``bytes`` long, and has no ``Content-Length``",
        needs="bytes",
    ),
    "many_rows": Kind(
        RESPONSE,
        ("history",),
        "the page gets ``rows`` further rows behind its own, and has no ``Content-Length``",
        needs="rows",
    ),
    "drip": Kind(
        RESPONSE, EVERYWHERE, "from ``bytes`` on, the body comes one byte at a time, each after ``seconds``"
    ),
    "corrupt": Kind(RESPONSE, EVERYWHERE, "64 bytes of the body, from ``bytes`` on, are inverted"),
    "stall": Kind(RESPONSE, EVERYWHERE, "the body pauses for ``seconds`` after ``bytes``"),
    "ignore_range": Kind(RESPONSE, FILE, "the whole file is sent although the request has a ``Range``"),
}


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"allowed are {', '.join(KINDS)}")
    return kind


HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
HeaderText = Annotated[str, Field(pattern=HEADER_TEXT)]


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Fault:
    """A fault: the requests that it matches, their number, and its effect.

    :param kind: kind of the fault, a key of ``KINDS``.
    :param endpoint: name of an endpoint, ``file`` or ``any``.
    :param task_id: matches only requests about this task.
    :param prompt_contains: matches only requests about a task whose prompt contains this text.
    :param api_key: matches only requests with this key; a file request counts as its task's key.
    :param skip: number of matching requests that pass first.
    :param times: number of requests that meet the fault, None = without end.
    :param probability: probability that a matching request meets the fault, 0 to 1; drawn from the
        emulator's seed.
    :param status: HTTP status of the response, 200 to 599; ``status`` and ``accept_then_status`` need it.
    :param body: body of the response: text, or an object that is sent as JSON.
    :param headers: headers of the response; null removes a header.
    :param content_type: content type of the response.
    :param code: error code of ``refuse``.
    :param location: target of a ``redirect``.
    :param seconds: length of a ``delay`` or ``stall``, or of each pause of a ``drip``, in seconds of the wall
        clock; length of a ``report_failed``, in seconds of the emulator's clock, whatever the time scale.
    :param after: seconds until a ``report_failed`` begins, on the same clock.
    :param bytes: position in the body for ``disconnect_mid_body``, ``truncate``, ``end_early``,
        ``short_file``, ``stall``, ``corrupt`` and ``drip``, and the length in the header for
        ``wrong_length``; by default the middle, for ``corrupt`` and ``drip`` the start. Length of a
        ``huge_body``, and of a response in place of the service's, which is filled with spaces.
    :param before_box: position in a file in place of ``bytes``: the beginning of the first MP4 box of this
        type, such as ``mdat``; without such a box the end of the file.
    :param rows: number of rows of ``many_rows``.
    :param error: error text of ``fail_generation``, ``report_failed`` and ``refuse``.
    """

    kind: Annotated[str, AfterValidator(_known_kind)]
    endpoint: str = "any"
    task_id: str | None = None
    prompt_contains: str | None = None
    api_key: str | None = Field(default=None, repr=False)
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=1, ge=0)
    probability: float = Field(default=1.0, ge=0, le=1)
    status: int | None = Field(default=None, ge=200, le=599)
    body: str | dict[str, Any] | list[Any] | None = None
    headers: dict[HeaderName, HeaderText | None] = Field(default_factory=dict)
    content_type: HeaderText | None = None
    code: str | None = None
    location: HeaderText | None = None
    seconds: float = Field(default=1.0, ge=0)
    after: float = Field(default=0.0, ge=0)
    bytes: int | None = Field(default=None, ge=0)
    before_box: Annotated[str, Field(pattern=r"^[\x20-\x7e]{4}$")] | None = None
    rows: int | None = Field(default=None, ge=1)
    error: str = "Video generation failed"

    @pydantic.model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        kind = KINDS[self.kind]
        if self.endpoint not in ("any", *kind.endpoints):
            allowed = ", ".join(("any", *kind.endpoints))
            raise ValueError(f"endpoint={self.endpoint!r}: allowed for {self.kind} are {allowed}")
        if kind.needs and not getattr(self, kind.needs):
            raise ValueError(f"{kind.needs}: {self.kind} needs this field")
        if self.before_box and FILE[0] not in kind.endpoints:
            raise ValueError(f"before_box={self.before_box!r}: only files have boxes")
        return self

    @property
    def stage(self) -> str:
        """The stage of a request at which the fault acts."""
        return KINDS[self.kind].stage

    def shown(self) -> dict[str, Any]:
        """Return the fault as JSON, with a fingerprint in place of the key."""
        hidden = fingerprint(self.api_key) if self.api_key else None
        return {**dataclasses.asdict(self), "api_key": hidden}


@dataclasses.dataclass(frozen=True)
class Target:
    """Properties of a request that faults can match."""

    endpoint: str
    key: str | None = None
    task_id: str | None = None
    prompt: str | None = None


@dataclasses.dataclass
class _ActiveFault:
    id: str
    fault: Fault
    rng: random.Random
    matched: int = 0
    met: int = 0

    def meets(self, target: Target) -> bool:
        fault = self.fault
        if not self._matches(target) or (fault.times is not None and self.met >= fault.times):
            return False
        self.matched += 1
        if self.matched <= fault.skip or self.rng.random() >= fault.probability:
            return False
        self.met += 1
        return True

    def _matches(self, target: Target) -> bool:
        fault = self.fault
        return (
            target.endpoint in KINDS[fault.kind].endpoints
            and fault.endpoint in ("any", target.endpoint)
            and fault.task_id in (None, target.task_id)
            and fault.api_key in (None, target.key)
            and (fault.prompt_contains is None or fault.prompt_contains in (target.prompt or ""))
        )


class ActiveFaults:
    """The active faults, in the order of their injection."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._faults: list[_ActiveFault] = []
        self._count = 0

    def add(self, fault: Fault) -> str:
        """Activate a fault, and return its id."""
        with self._lock:
            self._count += 1
            fault_id = f"fault-{self._count}"
            rng = random.Random(f"{self._seed}/{fault_id}")  # noqa: S311 - reproducible, not secret
            self._faults.append(_ActiveFault(fault_id, fault, rng))
            return fault_id

    def take(self, stage: str, target: Target) -> Fault | None:
        """Return the first fault of a stage that the request meets."""
        with self._lock:
            for active in self._faults:
                if active.fault.stage == stage and active.meets(target):
                    return active.fault
        return None

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def shown(self) -> list[dict[str, Any]]:
        """Return all faults as JSON; ``met`` counts the requests that met each."""
        with self._lock:
            return [{"id": active.id, **active.fault.shown(), "met": active.met} for active in self._faults]
