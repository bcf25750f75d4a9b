"""Generations to wait for: submit them, run their triggers, and count the requests."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.emulator import Emulator
    from airflow_provider_veo3.polling.result import WaitResult
    from airflow_provider_veo3.polling.shared import GenerationPoller, Pollers
    from airflow_provider_veo3.triggers.generation import Veo3GenerationTrigger

HOUR = 3600


def submit(conn_id: str = "veo3_default", prompt: str = "A lighthouse") -> str:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    hook = Veo3Hook(conn_id)
    generation_id = hook.text_to_video(prompt).id
    hook.get_conn().close()
    return generation_id


def submit_many(number: int) -> list[str]:
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook

    hook = Veo3Hook()
    try:
        return [hook.text_to_video(f"Number {index}").id for index in range(number)]
    finally:
        hook.get_conn().close()


def trigger_for(generation_id: str, **changes: Any) -> Veo3GenerationTrigger:
    from airflow_provider_veo3.triggers.generation import Veo3GenerationTrigger

    arguments = {
        "generation_id": generation_id,
        "veo3_conn_id": "veo3_default",
        "deadline": time.time() + HOUR,
        "poll_interval": 0.01,
    }
    return Veo3GenerationTrigger(**arguments | changes)


async def wait_for(generation_id: str, pollers: Pollers[GenerationPoller], **changes: Any) -> WaitResult:
    """Wait as :func:`trigger_for`'s triggers do, with pollers of the test's own."""
    from airflow_provider_veo3.polling.shared import wait_for_generation

    arguments = {"veo3_conn_id": "veo3_default", "deadline": time.time() + HOUR, "poll_interval": 0.01}
    return await wait_for_generation(generation_id=generation_id, pollers=pollers, **arguments | changes)


async def events_of(trigger: Veo3GenerationTrigger) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def drain(trigger: Veo3GenerationTrigger) -> dict[str, Any]:
    """Run a trigger to its end: exactly one event, plain JSON, readable by the task."""
    from airflow_provider_veo3.polling.result import WaitResult

    (payload,) = asyncio.run(events_of(trigger), debug=False)
    assert json.loads(json.dumps(payload)) == payload
    assert WaitResult.from_event(payload, trigger.generation_id).generation_id == trigger.generation_id
    return payload


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until a condition holds."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens outside the loop
        await asyncio.sleep(0.005)


def sent(emulator: Emulator) -> list[dict[str, Any]]:
    """Options of each accepted generation, as they were sent."""
    return [task["options"] for task in emulator.ledger()["tasks"]]


def status_requests(emulator: Emulator) -> int:
    """Number of status requests."""
    return sum(emulator.ledger()["requests"].get("status", {}).values())


def pages(emulator: Emulator) -> int:
    """Number of history pages requested."""
    return sum(emulator.ledger()["requests"].get("history", {}).values())


def outcome(name: str, emulator: Emulator) -> tuple[str, dict[str, Any]]:
    """Cause an ending other than success; return the id to wait for, and options of the sensor."""
    if name == "failed":
        emulator.inject({"kind": "fail_generation"})
        return submit(), {}
    if name == "timeout":
        emulator.configure(processing_seconds=HOUR)
        return submit(), {"timeout": 0.1}
    if name == "unknown_id":
        return "veo_1703123456789_abc123def", {}
    return submit(), {}
