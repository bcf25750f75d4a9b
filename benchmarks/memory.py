"""What a waiting task takes of a triggerer's memory: this provider's trigger and the http provider's."""

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
from benchmarks.measuring import child, say, table, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TITLE: Final = "Memory of a waiting task in the triggerer"

COUNTS: Final = (0, 100, 1000)
"""Tasks that wait at once."""

SECONDS: Final = 25.0
"""How long they are watched: time for two looks of each, where each looks by itself."""

INTERVAL: Final = 10.0
"""Seconds between two looks."""


def run() -> str:
    """Let so many wait in one event loop, each kind in processes of its own."""
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
            told = []
            for count in COUNTS:
                say(f"memory: {count} tasks wait, {name}")
                with _listed(ids[:count]) as listed:
                    told.append(child(__name__, kind, listed, env=env, python=peers.python()))
            per_task[kind] = (told[2]["peak"] - told[1]["peak"]) / (COUNTS[2] - COUNTS[1])
            taken = [f"{each['peak'] / 2**20:.1f}" for each in told]
            rows.append([name, *taken, f"{per_task[kind] / 1024:.1f}"])
    header = ["trigger", *(f"{count} wait, MiB" for count in COUNTS), "each more, KiB"]
    return (
        "Resident memory of a process with one event loop in which so many triggers wait, the most in"
        f" {SECONDS:.0f} s with a look every {INTERVAL:.0f} s; the API is the local VEO3 in another process."
        f" `HttpSensorTrigger` ({peers.versions('apache-airflow-providers-http')}) asks for each task by"
        " itself.\n\n"
        f"{table(header, rows)}\n\nA task more takes the http provider's trigger"
        f" {per_task['http'] / per_task['ours']:.1f} times what it takes ours."
    )


def _submit(base_url: str, key: str, count: int) -> list[str]:
    import httpx

    with httpx.Client(base_url=base_url, headers={"X-API-Key": key}) as api:
        return [
            api.post("/api/veo/text-to-video", json={"prompt": f"A slow river {number}"}).json()["taskId"]
            for number in range(count)
        ]


@contextlib.contextmanager
def _listed(ids: list[str]) -> Iterator[str]:
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
    """Wait while the answer is 404, which is all this trigger can wait for."""
    # by name: it is there only in the environment of the peers
    trigger = importlib.import_module("airflow.providers.http.triggers.http").HttpSensorTrigger
    return trigger(endpoint=f"api/veo/status/{generation_id}0", poke_interval=INTERVAL)


async def _watch(make: Callable[[str], Any], ids: list[str]) -> None:
    """Let all wait, and tell the most memory that this took."""

    async def wait(generation_id: str) -> None:
        async for event in make(generation_id).run():
            raise RuntimeError(f"{generation_id} was not to end: {event}")

    make("veo_1")  # what a triggerer has imported for the first
    waits = [asyncio.ensure_future(wait(each)) for each in ids]
    gc.collect()
    peak = 0
    end = time.monotonic() + (SECONDS if ids else 1)
    while time.monotonic() < end:
        peak = max(peak, _resident())
        await asyncio.sleep(0.25)
        for each in waits:
            if each.done():
                each.result()  # an error, since none is to end
    tell(peak=peak)
    os._exit(0)  # without ending a thousand waits one by one


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[2]).read_text())
    asyncio.run(_watch({"ours": _ours, "http": _http}[sys.argv[1]], given))
