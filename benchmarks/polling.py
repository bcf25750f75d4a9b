"""Cost of polling: requests, delay of noticing a completion, processor time."""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict

from benchmarks import peers
from benchmarks.harness import (
    markdown_table,
    median,
    percentile,
    print_result,
    run_module,
    show_progress,
)

if TYPE_CHECKING:
    import httpx

TITLE: Final = "What waiting costs"

PROCESSING: Final = "60-120"
"""Processing time of generations in vendor seconds, uniformly distributed."""

SHARED, PER_TASK = "shared poll", "per task"

WAYS: Final = ((SHARED, 5), (SHARED, 10), (PER_TASK, 5), (PER_TASK, 10), (PER_TASK, 60))
"""Ways of polling, each with its interval in vendor seconds."""

WAYS_AT_ONCE: Final = tuple(way for way in WAYS if way != (SHARED, 10))

CAMPAIGN: Final = (100, 5, 40.0)
"""Generations, how many of them are in flight, and the speed of the clocks."""

AT_ONCE: Final = {2: 20.0, 10: 20.0, 100: 8.0, 1000: 2.0}
"""Speed of the clocks, by the number of generations submitted at once."""

RUNS: Final = 3
"""Runs of each measurement with fewer than ``MANY`` tasks."""

MANY: Final = 100
"""Number of tasks from which a single run is enough."""

TICK: Final = 0.01
"""Seconds between two checks for a blocked event loop."""

VEO3_CONN_ID: Final = "veo3_default"
HTTP_CONN_ID: Final = "veo3_over_http"


class Plan(TypedDict):
    """Arguments of a measuring process.

    :param way: ``SHARED`` or ``PER_TASK``.
    :param interval: seconds between two polls.
    :param tasks: number of generations.
    :param in_flight: how many of them wait at the same time.
    """

    way: str
    interval: float
    tasks: int
    in_flight: int
    base_url: str
    key: str


def run() -> str:
    """Measure each way of polling in processes of its own, against the emulator."""
    tasks, in_flight, speed = CAMPAIGN
    campaign = [_row(way, interval, tasks, in_flight, speed) for way, interval in WAYS]
    at_once = [
        [number, *_row(way, interval, number, number, clock_speed)]
        for number, clock_speed in AT_ONCE.items()
        for way, interval in WAYS_AT_ONCE
    ]
    columns = [
        "requests per video",
        "completion noticed after, s: p50",
        "p95",
        "CPU of a core, %",
        "longest block, ms",
    ]
    speeds = ", ".join(f"{number} waits {clock_speed:.0f} x" for number, clock_speed in AT_ONCE.items())
    return (
        f"Generations take {PROCESSING} s, uniformly distributed. The clocks of emulator and tasks run faster"
        f" (campaign {speed:.0f} x; {speeds}), and all times are in the vendor's seconds. Processor time is"
        " that of the waiting process, per vendor second; the longest block of the event loop is real time."
        " Requests include the submission. `per task` polls as the http provider's deferrable sensor does,"
        f" with a session for each request ({peers.versions('apache-airflow-providers-http')}). Medians of"
        f" {RUNS} runs; a single run for {MANY} and more tasks.\n\n"
        f"A campaign of {tasks}, {in_flight} in flight:\n\n"
        f"{markdown_table(['way, interval', *columns], campaign)}\n\n"
        f"All submitted at once:\n\n{markdown_table(['waits', 'way, interval', *columns], at_once)}"
    )


def _row(way: str, interval: float, tasks: int, in_flight: int, speed: float) -> list[object]:
    runs = []
    for number in range(1, (1 if tasks >= MANY else RUNS) + 1):
        show_progress(
            f"polling: {tasks} tasks, {in_flight} in flight, {way} every {interval} s, run {number}"
        )
        runs.append(_measure(way, interval, tasks, in_flight, speed))
    return [
        f"{way}, {interval} s",
        f"{median(each['requests'] / tasks for each in runs):.2f}",
        f"{median(percentile(each['delays'], 0.50) for each in runs) * speed:.1f}",
        f"{median(percentile(each['delays'], 0.95) for each in runs) * speed:.1f}",
        f"{median(each['cpu'] / (each['duration'] * speed) for each in runs) * 100:.2f}",
        f"{median(each['longest_block'] for each in runs) * 1000:.0f}",
    ]


def _measure(way: str, interval: float, tasks: int, in_flight: int, speed: float) -> Any:
    from testbed.emulator import EmulatorProcess

    limits = dict.fromkeys(
        ("requests_per_minute", "requests_per_day", "concurrent_requests", "queue_limit"), "off"
    )
    with EmulatorProcess(
        time_scale=speed, processing_seconds=PROCESSING, credits=10**8, seed=tasks, **limits
    ) as emulator:
        plan = Plan(
            way=way,
            interval=interval / speed,
            tasks=tasks,
            in_flight=in_flight,
            base_url=emulator.base_url,
            key=emulator.api_key,
        )
        http = {
            "conn_type": "http",
            "host": emulator.base_url,
            "extra": {"X-API-Key": emulator.api_key},
        }
        env = {
            f"AIRFLOW_CONN_{VEO3_CONN_ID.upper()}": emulator.connection(requests_per_minute=60 * speed),
            f"AIRFLOW_CONN_{HTTP_CONN_ID.upper()}": json.dumps(http),
        }
        return run_module(__name__, json.dumps(plan), env=env, python=peers.python())


async def _wait_shared(generation_id: str, interval: float, accepted_at: float) -> str:
    """Wait as this provider's trigger does; return the time of completion."""
    from airflow_provider_veo3.triggers.generation import Veo3GenerationTrigger

    trigger = Veo3GenerationTrigger(
        generation_id=generation_id,
        veo3_conn_id=VEO3_CONN_ID,
        deadline=time.time() + 3600,
        poll_interval=interval,
        accepted_at=accepted_at,
        model="veo-3.1-fast-generate-001",
    )
    async for event in trigger.run():
        completed: str = event.payload["manifest"]["completed_at"]
        return completed
    raise RuntimeError("the trigger ended without an event")


async def _wait_per_task(generation_id: str, interval: float, _accepted_at: float) -> str:
    """Wait as the http provider's deferrable sensor does; return the time of completion."""
    # by name: they are installed only in the environment of the peers
    aiohttp = importlib.import_module("aiohttp")
    http = importlib.import_module("airflow.providers.http.hooks.http")
    hook = http.HttpAsyncHook(method="GET", http_conn_id=HTTP_CONN_ID)
    while True:
        async with aiohttp.ClientSession() as session:
            response = await hook.run(session=session, endpoint=f"api/veo/status/{generation_id}")
            generation = await response.json()
        if generation["status"] == "completed":
            completed: str = generation["completedAt"]
            return completed
        await asyncio.sleep(interval)


async def measure(plan: Plan) -> None:
    """Submit generations, wait for all of them, and print what that cost."""
    import httpx

    headers = {"X-API-Key": plan["key"]}
    async with httpx.AsyncClient(base_url=plan["base_url"], headers=headers, timeout=60) as api:
        wait = _wait_shared if plan["way"] == SHARED else _wait_per_task
        # A triggerer pays for imports and the first TLS context once, not for each wait.
        warm_up, _ = await _submit(api, -1)
        await wait(warm_up, plan["interval"], 0)

        requests_before = await _count_requests(api)
        submitted: list[tuple[str, float]] = []
        if plan["in_flight"] == plan["tasks"]:  # all at once; submitting is counted, but not timed
            while len(submitted) < plan["tasks"]:
                batch = range(len(submitted), min(plan["tasks"], len(submitted) + 10))
                submitted += await asyncio.gather(*(_submit(api, number) for number in batch))

        delays: list[float] = []
        in_flight = asyncio.Semaphore(plan["in_flight"])
        draws = random.Random(plan["tasks"])

        async def run_task(number: int) -> None:
            async with in_flight:
                if number < plan["in_flight"]:  # tasks do not begin at the same instant
                    await asyncio.sleep(draws.uniform(0, plan["interval"]))
                generation_id, accepted_at = submitted[number] if submitted else await _submit(api, number)
                completed = datetime.fromisoformat(await wait(generation_id, plan["interval"], accepted_at))
                delays.append(time.time() - completed.timestamp())

        blocks: list[float] = []
        watch = asyncio.create_task(_record_blocks(blocks))
        cpu_before, start = time.process_time(), time.monotonic()
        await asyncio.gather(*(run_task(number) for number in range(plan["tasks"])))
        cpu, duration = time.process_time() - cpu_before, time.monotonic() - start
        watch.cancel()
        requests = await _count_requests(api) - requests_before
    print_result(requests=requests, delays=delays, cpu=cpu, duration=duration, longest_block=max(blocks))


async def _submit(api: httpx.AsyncClient, number: int) -> tuple[str, float]:
    """Submit a generation; return its id and the time of its acceptance."""
    response = await api.post("/api/veo/text-to-video", json={"prompt": f"Number {number}"})
    return response.raise_for_status().json()["taskId"], time.time()


async def _record_blocks(blocks: list[float]) -> None:
    """Record the seconds for which the event loop was blocked at each tick, until cancelled."""
    while True:
        start = time.perf_counter()
        await asyncio.sleep(TICK)
        blocks.append(time.perf_counter() - start - TICK)


async def _count_requests(api: httpx.AsyncClient) -> int:
    ledger = (await api.get("/__emulator__/ledger")).json()
    count: int = ledger["totals"]["requests"]
    return count


if __name__ == "__main__":
    asyncio.run(measure(json.loads(sys.argv[1])))
