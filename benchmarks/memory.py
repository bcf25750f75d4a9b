"""Memory of a waiting task in the triggerer: this provider's trigger and the http provider's."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import peers
from benchmarks.harness import markdown_table, print_result, run_module, show_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TITLE: Final = "Memory of a waiting task in the triggerer"

COUNTS: Final = (0, 100, 1000)
"""Numbers of tasks that wait at the same time."""

DURATION: Final = 25.0
"""Seconds of each measurement: enough for two polls of each task."""

INTERVAL: Final = 10.0
"""Seconds between two polls."""


def run() -> str:
    """Measure each trigger and each number of tasks in a process of its own."""
    from testbed.emulator import EmulatorProcess

    off = ("requests_per_minute", "requests_per_day", "concurrent_requests", "queue_limit")
    limits = dict.fromkeys(off, "off")
    rows = []
    per_task = {}
    with EmulatorProcess(processing_seconds=36000, credits=10**9, **limits) as emulator:
        http = {"conn_type": "http", "host": emulator.base_url, "extra": {"X-API-Key": emulator.api_key}}
        env = {
            "AIRFLOW_CONN_VEO3_DEFAULT": emulator.connection(requests_per_minute=6000),
            "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps(http),
        }
        ids = _submit(emulator.base_url, emulator.api_key, max(COUNTS))
        for name, kind in (("this provider", "ours"), ("http, `HttpSensorTrigger`", "http")):
            results = []
            for count in COUNTS:
                show_progress(f"memory: {count} tasks wait, {name}")
                with _json_file(ids[:count]) as path:
                    results.append(run_module(__name__, kind, path, env=env, python=peers.python()))
            per_task[kind] = (results[2]["peak"] - results[1]["peak"]) / (COUNTS[2] - COUNTS[1])
            peaks = [f"{each['peak'] / 2**20:.1f}" for each in results]
            rows.append([name, *peaks, f"{per_task[kind] / 1024:.1f}"])
    header = ["trigger", *(f"{count} wait, MiB" for count in COUNTS), "per additional task, KiB"]
    return (
        "Resident memory of a process with one event loop in which so many triggers wait, the maximum within"
        f" {DURATION:.0f} s, with a poll every {INTERVAL:.0f} s; the API is the emulator in another process."
        f" `HttpSensorTrigger` ({peers.versions('apache-airflow-providers-http')}) polls for each task"
        f" separately.\n\n{markdown_table(header, rows)}\n\nAn additional task takes"
        f" {per_task['http'] / per_task['ours']:.1f} times as much memory with the http provider's trigger as"
        " with ours."
    )


def _submit(base_url: str, key: str, count: int) -> list[str]:
    import httpx

    with httpx.Client(base_url=base_url, headers={"X-API-Key": key}) as api:
        return [
            api.post("/api/veo/text-to-video", json={"prompt": f"A slow river {number}"}).json()["taskId"]
            for number in range(count)
        ]


@contextlib.contextmanager
def _json_file(ids: list[str]) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(ids, file)
        file.flush()
        yield file.name


def _ours(generation_id: str) -> Any:
    from airflow_provider_veo3.triggers.generation import Veo3GenerationTrigger

    return Veo3GenerationTrigger(
        generation_id=generation_id,
        veo3_conn_id="veo3_default",
        deadline=time.time() + 36000,
        poll_interval=INTERVAL,
    )


def _http(generation_id: str) -> Any:
    """Make a trigger that polls an unknown id, and waits while the response is 404."""
    # by name: it is installed only in the environment of the peers
    trigger = importlib.import_module("airflow.providers.http.triggers.http").HttpSensorTrigger
    return trigger(endpoint=f"api/veo/status/{generation_id}0", poke_interval=INTERVAL)


async def _measure(make: Callable[[str], Any], ids: list[str]) -> None:
    """Let all triggers wait, and print the maximum memory as the result of this process."""

    async def wait(generation_id: str) -> None:
        async for event in make(generation_id).run():
            raise RuntimeError(f"the trigger of {generation_id} must not end: {event}")

    make("veo_1")  # a triggerer imports its module once
    waits = [asyncio.ensure_future(wait(each)) for each in ids]
    gc.collect()
    peak = 0
    end = time.monotonic() + (DURATION if ids else 1)
    while time.monotonic() < end:
        peak = max(peak, _resident())
        await asyncio.sleep(0.25)
        for each in waits:
            if each.done():
                each.result()  # raises: no trigger may end
    print_result(peak=peak)
    os._exit(0)  # without cancelling a thousand triggers one by one


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    generation_ids = json.loads(Path(sys.argv[2]).read_text())
    asyncio.run(_measure({"ours": _ours, "http": _http}[sys.argv[1]], generation_ids))
