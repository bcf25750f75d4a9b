"""Rate and memory of storing videos, compared with curl, boto3 and a plain copy."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import peers
from benchmarks.harness import markdown_table, median, print_result, run_module, show_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TITLE: Final = "Storing videos"

MEGABYTE: Final = 10**6

PLANS: Final = (
    # megabytes of a file, files at once, runs, whether to S3
    (2, 1, 5, False),
    (200, 1, 3, False),
    (2000, 1, 3, False),
    (200, 4, 1, False),
    (2, 1, 9, True),
    (200, 1, 7, True),
    (200, 4, 3, True),
)

BUCKET: Final = "videos"

UNSIGNED: Final[dict[str, Any]] = {"s3": {"payload_signing_enabled": False}}
"""Settings of an S3 client that signs no payloads, as over HTTPS."""


def run() -> str:
    """Measure every plan, our operator and the alternatives by turns."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="veo3-bench-", dir=os.environ.get("TMPDIR")) as folder:
        free = shutil.disk_usage(folder).free / MEGABYTE
        for megabytes, files, runs, to_s3 in PLANS:
            if free < 4 * megabytes * files:
                show_progress(f"{files} x {megabytes} MB skipped: the disk has only {free:.0f} MB free")
                continue
            show_progress(f"download: {files} x {megabytes} MB to {'S3' if to_s3 else 'disk'}, {runs} runs")
            env: dict[str, str] = {}
            with contextlib.ExitStack() as servers:
                if to_s3:
                    env = servers.enter_context(_s3_server())
                rows.append(_measure_plan(megabytes, files, runs, Path(folder), env))
    header = [
        "files",
        "runs",
        "ours, MB/s",
        "curl + sha256sum, MB/s",
        "ours : curl",
        "with boto3, MB/s",
        "ours : boto3",
        "plain copy, MB/s",
        "memory of ours, MB",
        "memory of the copy, MB",
    ]
    return (
        "Files from the emulator over loopback to a folder, or to an S3 server (moto, one process). All are"
        " measured by turns; rates and ratios are medians. Ours and curl hash and flush what they store. To"
        " S3, curl downloads to disk, `sha256sum` hashes, and then curl uploads with one `PUT`, or boto3 with"
        " its `upload_file`, in parts as ours does; moto spends a third more time on parts than on one `PUT`,"
        " and shares two cores with everything else. Payloads are not signed, as over HTTPS. The plain copy"
        " is `shutil.copyfileobj` from `requests` to an `ObjectStoragePath`; it neither hashes nor flushes,"
        " and half a file is visible under its name. Memory is the peak beyond the process with its imports"
        " and its connection to the store, the highest of all runs. With"
        f" {peers.versions('s3fs', 'boto3', 'moto')}.\n\n{markdown_table(header, rows)}"
    )


def _measure_plan(megabytes: int, files: int, runs: int, folder: Path, s3: dict[str, str]) -> list[object]:
    import httpx

    from testbed.emulator import EmulatorProcess

    options = {"file_size": megabytes * MEGABYTE, "processing_seconds": 0, "pending_seconds": 0}
    results: dict[str, list[dict[str, Any]]] = {"ours": [], "curl": [], "boto3": [], "copy": []}
    with EmulatorProcess(**options) as emulator, tempfile.TemporaryDirectory() as home:
        env = s3 | {
            "AIRFLOW_HOME": home,
            "VEO3_API_KEY": emulator.api_key,
            "VEO3_BASE_URL": emulator.base_url,
        }
        ids, urls = [], []
        with httpx.Client(base_url=emulator.base_url, headers={"X-API-Key": emulator.api_key}) as api:
            for number in range(files):
                body = {"prompt": f"A very long river, part {number}"}
                ids.append(api.post("/api/veo/text-to-video", json=body).json()["taskId"])
                (video,) = api.get(f"/api/veo/download/{ids[-1]}").json()["videos"]
                urls.append(video["url"])
        for turn in range(runs):
            root = f"s3://bench_s3@{BUCKET}/{megabytes}-{turn}" if s3 else f"file://{folder}"
            for kind, sources in (("ours", ids), ("copy", urls), *([("boto3", urls)] if s3 else [])):
                target = f"{folder}/{kind}" if kind == "boto3" else f"{root}/{kind}"
                results[kind].append(
                    run_module(__name__, kind, target, *sources, env=env, python=peers.python())
                )
            results["curl"].append({"seconds": _curl(urls, folder, s3.get("BENCH_S3_URL"), turn)})
            for each in folder.iterdir():
                shutil.rmtree(each) if each.is_dir() else each.unlink()
    rate = {
        kind: f"{megabytes * files / median(each['seconds'] for each in found):.0f}" if found else "-"
        for kind, found in results.items()
    }
    return [
        f"{files} x {megabytes} MB to {'S3' if s3 else 'disk'}",
        runs,
        rate["ours"],
        rate["curl"],
        _ratio(results["curl"], results["ours"]),
        rate["boto3"],
        _ratio(results["boto3"], results["ours"]),
        rate["copy"],
        f"{max(each['megabytes'] for each in results['ours']):.1f}",
        f"{max(each['megabytes'] for each in results['copy']):.1f}",
    ]


def _ratio(theirs: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]]) -> str:
    """Return the median speed of ours relative to theirs over all turns."""
    pairs = zip(theirs, ours, strict=True)
    return f"{median(their['seconds'] / our['seconds'] for their, our in pairs):.2f}" if theirs else "-"


def _curl(urls: Sequence[str], folder: Path, s3: str | None, turn: int) -> float:
    """Return the seconds that curl and sha256sum take for all files at once."""
    lines = []
    for number, url in enumerate(urls):
        target = folder / f"curl-{number}.mp4"
        line = f"curl -sSf -o {target} '{url}' && sha256sum {target}"
        if s3:  # no sync: S3 acknowledges only complete objects
            line += (
                f" && curl -sSf -T {target} --aws-sigv4 aws:amz:us-east-1:s3 --user bench:bench-secret"
                f" {s3}/{BUCKET}/{turn}-curl-{number}.mp4"
            )
        else:
            line += f" && sync {target}"
        lines.append(f"({line}) & p{number}=$!")
    lines += [f"wait $p{number} || exit 1" for number in range(len(urls))]
    start = time.perf_counter()
    subprocess.run(["sh", "-c", "\n".join(lines)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _boto3(folder: str, urls: list[str]) -> None:
    """Store files with curl, sha256sum and boto3, one thread per file; runs as a process."""
    from concurrent.futures import ThreadPoolExecutor

    import boto3
    from botocore.config import Config

    keys = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench-secret"}
    url = os.environ["BENCH_S3_URL"]
    s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=Config(**UNSIGNED), **keys)
    s3.list_objects_v2(Bucket=BUCKET, Prefix="nothing")
    Path(folder).mkdir()

    def store(number: int) -> None:
        target = f"{folder}/{number}.mp4"
        subprocess.run(["curl", "-sSf", "-o", target, urls[number]], check=True)
        subprocess.run(["sha256sum", target], check=True, stdout=subprocess.DEVNULL)
        s3.upload_file(target, BUCKET, f"boto3-{number}.mp4")

    with ThreadPoolExecutor(4) as pool, _measured():
        list(pool.map(store, range(len(urls))))


@contextlib.contextmanager
def _s3_server() -> Iterator[dict[str, str]]:
    """Run an S3 server with a bucket; yield environment variables with a connection to it."""
    from testbed.processes import end_process, free_ports

    (port,) = free_ports(1)
    command = [peers.python(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    connection = {
        "conn_type": "aws",
        "login": "bench",
        "password": "bench-secret",
        "extra": {
            "region_name": "us-east-1",
            "endpoint_url": url,
            "config_kwargs": UNSIGNED,
        },
    }
    try:
        create = ["curl", "-sSf", "--retry", "30", "--retry-connrefused", "--retry-delay", "1", "-X", "PUT"]
        sign = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "bench:bench-secret"]
        subprocess.run([*create, *sign, f"{url}/{BUCKET}"], check=True, capture_output=True)
        yield {"AIRFLOW_CONN_BENCH_S3": json.dumps(connection), "BENCH_S3_URL": url}
    finally:
        end_process(server)


def _ours(root: str, generation_ids: list[str]) -> None:
    """Store files with this provider; runs as a process."""
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.storage.destination import Destination
    from airflow_provider_veo3.storage.listing import VideoLister
    from airflow_provider_veo3.storage.provenance import Provenance
    from airflow_provider_veo3.storage.store import VideoStore
    from airflow_provider_veo3.storage.transfer import StoppableClock

    hook = Veo3Hook()
    hook.get_videos(generation_ids[0])  # imports what a task has imported by then
    destination = Destination(root)
    destination.size("nothing")
    clock = StoppableClock()
    store = VideoStore(
        destination,
        filename="{generation_id}_{index}.mp4",
        lister=VideoLister(hook.get_videos, Provenance({}, hook.get_generation), clock),
        open_file=hook.open_file,
        max_concurrency=4,
        clock=clock,
    )
    with _measured():
        store.store(generation_ids)


def _copy(root: str, urls: list[str]) -> None:
    """Copy files in the simplest way, one thread per file; runs as a process."""
    from concurrent.futures import ThreadPoolExecutor

    import requests
    from airflow.sdk import ObjectStoragePath

    folder = ObjectStoragePath(root)
    if root.startswith("file:"):
        folder.mkdir(parents=True)
    (folder / "nothing").exists()

    def copy(number: int) -> None:
        with (
            requests.get(urls[number], stream=True, timeout=60) as response,
            (folder / f"{number}.mp4").open("wb") as target,
        ):
            shutil.copyfileobj(response.raw, target)

    with ThreadPoolExecutor(4) as pool, _measured():
        list(pool.map(copy, range(len(urls))))


@contextlib.contextmanager
def _measured() -> Iterator[None]:
    """Print the duration and the additional memory of the block as the result."""
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    start = time.perf_counter()
    yield
    print_result(seconds=time.perf_counter() - start, megabytes=_memory("VmHWM") - before)


def _memory(name: str) -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / MEGABYTE


if __name__ == "__main__":
    {"ours": _ours, "boto3": _boto3, "copy": _copy}[sys.argv[1]](sys.argv[2], sys.argv[3:])
