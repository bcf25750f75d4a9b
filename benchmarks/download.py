"""Store a large video, and let curl and sha256sum do the same: rate as a ratio, and memory on top.

``python -m benchmarks.download --megabytes 2000 --repeat 3``. The file comes from the local VEO3 over
loopback and goes to a folder on disk; both sides fetch it whole, hash it and leave it on the disk.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEGABYTE = 10**6


def ours(generation_id: str, folder: str) -> None:
    """Run in a process of its own: store the file, and print seconds and the memory it took on top."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.storage.destination import Destination
    from airflow_provider_veo3.storage.source import Pace
    from airflow_provider_veo3.storage.store import VideoStore

    hook = Veo3Hook()
    hook.get_videos(generation_id)  # what a task has loaded by then
    store = VideoStore(
        Destination(f"file://{folder}"),
        filename="{generation_id}_{index}.mp4",
        resolve=hook.get_videos,
        fetch=hook.open_file,
        max_concurrency=1,
        pace=Pace(),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    store.store([generation_id])
    seconds = time.perf_counter() - begun
    print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def run_ours(generation_id: str, folder: Path) -> tuple[float, float]:
    """Give seconds and MB of one run."""
    command = [sys.executable, "-m", "benchmarks.download", "--store", generation_id, str(folder)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(printed[-2]), float(printed[-1])


def run_theirs(url: str, folder: Path) -> float:
    """Give the seconds that curl and sha256sum take, with the file flushed to the disk as ours is."""
    target = shlex.quote(str(folder / "theirs.mp4"))
    line = f"curl -sSf -o {target} {shlex.quote(url)} && sync {target} && sha256sum {target}"
    begun = time.perf_counter()
    subprocess.run(["sh", "-c", line], check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--store", nargs=2, metavar=("ID", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.store:
        ours(*given.store)
        return

    import httpx

    from demo.emulator import EmulatorProcess

    options = {"file_size": given.megabytes * MEGABYTE, "processing_seconds": 0, "pending_seconds": 0}
    with EmulatorProcess(**options) as emulator, tempfile.TemporaryDirectory() as folder:
        os.environ |= {"VEO3_API_KEY": emulator.api_key, "VEO3_BASE_URL": emulator.base_url}
        with httpx.Client(base_url=emulator.base_url, headers={"X-API-Key": emulator.api_key}) as api:
            accepted = api.post("/api/veo/text-to-video", json={"prompt": "A very long river"}).json()
            generation_id = accepted["taskId"]
            (video,) = api.get(f"/api/veo/download/{generation_id}").json()["videos"]
        mine, theirs, memory = [], [], []
        for _ in range(given.repeat):
            seconds, extra = run_ours(generation_id, Path(folder))
            mine.append(seconds)
            memory.append(extra)
            theirs.append(run_theirs(video["url"], Path(folder)))
            for file in Path(folder).iterdir():
                file.unlink()
    ratio = statistics.median(t / m for t, m in zip(theirs, mine, strict=True))
    print(f"{given.megabytes} MB, {given.repeat} runs each in turn, {os.cpu_count()} cores")
    print(
        f"ours: {given.megabytes / statistics.median(mine):.0f} MB/s, {max(memory):.1f} MB of memory on top"
    )
    print(f"curl and sha256sum: {given.megabytes / statistics.median(theirs):.0f} MB/s")
    print(f"ours : theirs = {ratio:.2f}, the median of the pairs")


if __name__ == "__main__":
    main()
