"""Rules that make the emulator misbehave."""

from __future__ import annotations

import dataclasses
import math
import random
import re
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_veo3.emulator.service.accounts import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

SUBMITS = ("text-to-video", "image-to-video", "first-last-frame")
READS = ("status", "download")
API = (*SUBMITS, *READS, "history", "models")
FILE = ("file",)
EVERYWHERE = (*API, *FILE)

# A request meets at most one rule of each stage, so that a delay and a cut can be combined.
WAIT, INSTEAD, TASK, REPLY = "wait", "instead", "task", "reply"


class Kind(NamedTuple):
    """A way to misbehave."""

    stage: str
    endpoints: tuple[str, ...]
    """Where it means something."""
    does: str
    """For people: what happens."""


KINDS: dict[str, Kind] = {
    "delay": Kind(WAIT, EVERYWHERE, "the request waits for ``seconds``, then goes on"),
    "status": Kind(INSTEAD, EVERYWHERE, "``status`` is answered, and the service never sees the request"),
    "garbage": Kind(INSTEAD, EVERYWHERE, "200 with bytes that are no JSON, in place of the service's answer"),
    "html_instead": Kind(INSTEAD, EVERYWHERE, "200 with a web page, as something in between sends it"),
    "redirect": Kind(INSTEAD, EVERYWHERE, "302 to ``location``"),
    "disconnect_before": Kind(INSTEAD, EVERYWHERE, "cut, and the service never sees the request"),
    "expire": Kind(INSTEAD, FILE, "the link is refused as one that has expired"),
    "fail_generation": Kind(TASK, SUBMITS, "what is accepted will fail with ``error``, and is refunded then"),
    "no_videos": Kind(TASK, SUBMITS, "what is accepted will complete without a file"),
    "drop_sample": Kind(TASK, SUBMITS, "what is accepted will complete with one file less"),
    "lose_task": Kind(TASK, (*SUBMITS, *READS), "the generation is unknown to the API from then on"),
    "accept_then_status": Kind(REPLY, SUBMITS, "accepted and charged, but ``status`` is answered"),
    "accept_then_disconnect": Kind(REPLY, SUBMITS, "accepted and charged, but the connection is cut"),
    "disconnect_mid_body": Kind(REPLY, EVERYWHERE, "the connection is reset after ``bytes`` of the body"),
    "truncate": Kind(REPLY, EVERYWHERE, "the connection is closed after ``bytes`` of the body"),
    "wrong_length": Kind(REPLY, EVERYWHERE, "``Content-Length`` says ``bytes``; no more than these are sent"),
    "no_length": Kind(REPLY, EVERYWHERE, "there is no ``Content-Length``"),
    "corrupt": Kind(REPLY, EVERYWHERE, "64 bytes of the body, from ``bytes`` on, are inverted"),
    "stall": Kind(REPLY, EVERYWHERE, "the body pauses for ``seconds`` after ``bytes``"),
    "ignore_range": Kind(REPLY, FILE, "the whole file is sent although a part was asked for"),
}


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclasses.dataclass(frozen=True)
class Fault:
    """One rule: whom it meets, how often, and what it does.

    :param kind: what it does, a key of ``KINDS``.
    :param endpoint: an endpoint's name, ``file`` or ``any``.
    :param task_id: only requests about this task.
    :param prompt_contains: only requests about a task whose prompt contains this.
    :param api_key: only requests with this key; a file request counts as its task's key.
    :param skip: so many matching requests pass first.
    :param times: so many requests are met, None = for ever.
    :param probability: the chance that a matching request is met, 0 to 1; drawn from the emulator's seed.
    :param status: HTTP status of the answer, 200 to 599; ``status`` and ``accept_then_status`` need it.
    :param body: text, or an object sent as JSON.
    :param headers: headers of the answer; null removes one.
    :param content_type: content type of the answer.
    :param location: where ``redirect`` leads.
    :param seconds: how long ``delay`` and ``stall`` last on the wall clock.
    :param bytes: where in the body ``disconnect_mid_body``, ``truncate``, ``stall`` and ``corrupt`` strike,
        and the length that ``wrong_length`` claims; by default the middle, and the beginning for ``corrupt``.
    :param error: the text of ``fail_generation``.
    """

    kind: str
    endpoint: str = "any"
    task_id: str | None = None
    prompt_contains: str | None = None
    api_key: str | None = dataclasses.field(default=None, repr=False)
    skip: int = 0
    times: int | None = 1
    probability: float = 1.0
    status: int | None = None
    body: str | dict[str, Any] | list[Any] | None = None
    headers: dict[str, str | None] = dataclasses.field(default_factory=dict)
    content_type: str | None = None
    location: str | None = None
    seconds: float = 1.0
    bytes: int | None = None
    error: str = "Video generation failed"

    def __post_init__(self) -> None:
        """Refuse rules that could never act as their author means."""
        if self.kind not in KINDS:
            raise ValueError(f"kind={self.kind!r}: allowed are {', '.join(KINDS)}")
        endpoints = KINDS[self.kind].endpoints
        if self.endpoint not in ("any", *endpoints):
            raise ValueError(f"endpoint={self.endpoint!r}: {self.kind} works at any, {', '.join(endpoints)}")
        if self.kind == "redirect" and not self.location:
            raise ValueError("location: a redirect needs one")
        if self.kind in ("status", "accept_then_status") and self.status is None:
            raise ValueError(f"status: {self.kind} needs one")
        if self.status is not None and not 200 <= self.status <= 599:  # noqa: PLR2004 - final HTTP statuses
            raise ValueError(f"status={self.status!r}: must be between 200 and 599")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability={self.probability!r}: must be between 0 and 1")
        for name in ("skip", "times", "seconds", "bytes"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name}={value!r}: must be a finite number, not negative")
        for name, text in {
            **self.headers,
            "Content-Type": self.content_type,
            "Location": self.location,
        }.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_TEXT.fullmatch(text or ""):
                raise ValueError(f"{name}={text!r}: no HTTP header can be so")

    @property
    def stage(self) -> str:
        """When in the life of a request the rule acts."""
        return KINDS[self.kind].stage

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Fault:
        """Build a rule from JSON."""
        known = {field.name: field.type for field in dataclasses.fields(cls)}
        for name, value in fields.items():
            if name not in known:
                raise ValueError(f"{name}: no such field; known are {', '.join(known)}")
            if name != "body" and not _fits(value, str(known[name])):
                raise ValueError(f"{name}={value!r}: must be {known[name]}")
        if "kind" not in fields:
            raise ValueError("kind: is missing")
        return cls(**fields)

    def shown(self) -> dict[str, Any]:
        """The rule as JSON, its key as a fingerprint."""
        return {**dataclasses.asdict(self), "api_key": fingerprint(self.api_key)}


def _fits(value: Any, annotation: str) -> bool:
    if annotation.startswith("dict"):
        return isinstance(value, dict) and all(isinstance(text, str | None) for text in value.values())
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
    allowed: tuple[type, ...] = ()
    for part in annotation.split(" | "):
        allowed += kinds.get(part, (type(None),))
    return isinstance(value, allowed) and not isinstance(value, bool)


@dataclasses.dataclass(frozen=True)
class Target:
    """What a rule can know about a request when it is matched."""

    endpoint: str
    key: str | None = None
    task_id: str | None = None
    prompt: str | None = None


@dataclasses.dataclass
class _Rule:
    id: str
    fault: Fault
    rng: random.Random
    seen: int = 0
    met: int = 0

    def meets(self, target: Target) -> bool:
        fault = self.fault
        endpoints = KINDS[fault.kind].endpoints
        if target.endpoint not in endpoints or fault.endpoint not in ("any", target.endpoint):
            return False
        if fault.task_id is not None and fault.task_id != target.task_id:
            return False
        if fault.prompt_contains is not None and fault.prompt_contains not in (target.prompt or ""):
            return False
        if fault.api_key is not None and fault.api_key != target.key:
            return False
        if fault.times is not None and self.met >= fault.times:
            return False
        self.seen += 1
        if self.seen <= fault.skip or self.rng.random() >= fault.probability:
            return False
        self.met += 1
        return True


class FaultBook:
    """The rules in force, in the order in which they were injected."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._count = 0

    def add(self, fault: Fault) -> str:
        """Put a rule in force and return its id."""
        with self._lock:
            self._count += 1
            rule_id = f"fault-{self._count}"
            rng = random.Random(f"{self._seed}/{rule_id}")  # noqa: S311 - reproducible, not secret
            self._rules.append(_Rule(rule_id, fault, rng))
            return rule_id

    def take(self, stage: str, target: Target) -> Fault | None:
        """The first rule of this stage that meets the request; later rules are not used up by it."""
        with self._lock:
            for rule in self._rules:
                if rule.fault.stage == stage and rule.meets(target):
                    return rule.fault
        return None

    def clear(self) -> None:
        """Lift all rules."""
        with self._lock:
            self._rules.clear()

    def shown(self) -> list[dict[str, Any]]:
        """All rules as JSON, with how often each has met a request."""
        with self._lock:
            return [{"id": rule.id, **rule.fault.shown(), "met": rule.met} for rule in self._rules]
