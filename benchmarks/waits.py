"""A process that waits for many generations at once, and tells what it cost: run by ``waiting``."""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TICK: Final = 0.01
"""Seconds between two looks at whether the event loop is blocked."""

HTTP_CONN_ID: Final = "veo3_over_http"


async def shared(generation_id: str, plan: dict[str, Any], accepted_at: float) -> str:
    """Wait as this provider's trigger does."""
    from airflow_provider_veo3.triggers.generation import Veo3GenerationTrigger

    trigger = Veo3GenerationTrigger(
        generation_id=generation_id,
        veo3_conn_id="veo3_default",
        deadline=time.time() + 3600,
        poll_interval=plan["interval"],
        accepted_at=accepted_at,
        model="veo-3.1-fast-generate-001",
    )
    async for event in trigger.run():
        completed: str = event.payload["manifest"]["completed_at"]
        return completed
    raise RuntimeError("the trigger ended without an event")


async def per_task(generation_id: str, plan: dict[str, Any], _: float) -> str:
    """Wait as the http provider's deferrable sensor does: a session and a request for each task's look."""
    # only in the environment of the peers
    aiohttp = importlib.import_module("aiohttp")
    http = importlib.import_module("airflow.providers.http.hooks.http")
    hook = http.HttpAsyncHook(method="GET", http_conn_id=HTTP_CONN_ID)
    while True:
        async with aiohttp.ClientSession() as session:
            answer = await hook.run(session=session, endpoint=f"api/veo/status/{generation_id}")
            told = await answer.json()
        if told["status"] == "completed":
            completed: str = told["completedAt"]
            return completed
        await asyncio.sleep(plan["interval"])


async def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Submit, wait for all, and return requests aside what it cost."""
    import httpx

    wait: Callable[[str, dict[str, Any], float], Awaitable[str]] = (
        shared if plan["how"] == "shared" else per_task
    )
    delays: list[float] = []
    blocked: list[float] = []
    in_flight = asyncio.Semaphore(plan["in_flight"])
    dice = random.Random(plan["tasks"])

    async def submit(api: httpx.AsyncClient, number: int) -> tuple[str, float]:
        answer = await api.post("/api/veo/text-to-video", json={"prompt": f"Number {number}"})
        return answer.raise_for_status().json()["taskId"], time.time()

    async def one(api: httpx.AsyncClient, number: int) -> None:
        async with in_flight:
            if number < plan["in_flight"]:
                # tasks do not begin at the same instant
                await asyncio.sleep(dice.uniform(0, plan["interval"]))
            generation_id, accepted_at = early[number] if early else await submit(api, number)
            ended = datetime.fromisoformat(await wait(generation_id, plan, accepted_at))
            delays.append(time.time() - ended.timestamp())

    async def watch() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(TICK)
            blocked.append(time.perf_counter() - begun - TICK)

    headers = {"X-API-Key": plan["key"]}
    async with httpx.AsyncClient(base_url=plan["base_url"], headers=headers, timeout=60) as api:
        # imports and the first TLS context are paid once by a triggerer, not by each wait
        await wait((await api.post("/api/veo/text-to-video", json={"prompt": "x"})).json()["taskId"], plan, 0)
        before = await _requests(api)
        # submitting many at once is no wait: it is counted, but not timed
        at_once = plan["in_flight"] == plan["tasks"]
        early: list[tuple[str, float]] = []
        while at_once and len(early) < plan["tasks"]:
            some = range(len(early), min(plan["tasks"], len(early) + 10))
            early += await asyncio.gather(*(submit(api, number) for number in some))
        watching = asyncio.create_task(watch())
        cpu, begun = time.process_time(), time.monotonic()
        await asyncio.gather(*(one(api, number) for number in range(plan["tasks"])))
        cpu, took = time.process_time() - cpu, time.monotonic() - begun
        watching.cancel()
        requests = await _requests(api) - before
    return {"requests": requests, "delays": delays, "cpu": cpu, "took": took, "blocked": max(blocked)}


async def _requests(api: Any) -> int:
    ledger = (await api.get("/__emulator__/ledger")).json()
    told: int = ledger["totals"]["requests"]
    return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(json.loads(sys.argv[1])))))
