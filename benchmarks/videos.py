"""Response times and memory of the Videos page with 100,000 generations in Airflow's database."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import (
    markdown_table,
    median,
    median_and_range,
    print_result,
    run_module,
    show_progress,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

TITLE: Final = "The Videos page"

MAPPED: Final = ("campaign", 1, 500, 100)
SINGLE: Final = ("daily", 10, 5000, 1)
OTHERS: Final = ("other", 10, 100, 100)
"""DAGs of a name, runs of each, and mapped tasks of a run."""

DAYS: Final = 365
"""Days over which the runs are spread."""

REQUESTS: Final = 5
"""Measured requests of each kind, after one that is not."""

TARGET: Final = 300
"""Milliseconds in which the first page shall be there."""

TASKS: Final = {
    "generate": "Veo3TextToVideoOperator",
    "wait": "Veo3GenerationSensor",
    "download": "Veo3DownloadOperator",
}

RUNS: Final = """
INSERT INTO dag_run (dag_id, run_id, run_type, run_after, start_date, end_date, state)
SELECT :name || '_' || dag, 'manual__' || run, 'manual', at, at, at + interval '4 minutes', 'success'
FROM generate_series(1, :dags) dag, generate_series(1, :runs) run,
    LATERAL (SELECT now() - interval '5 minutes' - interval '1 day' * :days * (run - 1) / :runs
        - interval '1 second' * dag AS at) times
"""

TASK_INSTANCES: Final = """
INSERT INTO task_instance
    (id, task_id, dag_id, run_id, map_index, try_number, pool, pool_slots, state, operator)
SELECT gen_random_uuid(), :task, dag_id, run_id, mapped, 1, 'default_pool', 1, 'success', :operator
FROM dag_run, generate_series(0, :mapped - 1) mapped WHERE dag_id LIKE :name || '%'
"""

XCOMS: Final = """
INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, timestamp, value)
SELECT run.id, task_id, map_index, :key, dag_id, run_id,
    at + interval '1 minute' + interval '10 milliseconds' * map_index, {value}
FROM (SELECT id, dag_id, run_id, start_date AS at FROM dag_run WHERE dag_id LIKE :name || '%') run
    JOIN (SELECT dag_id, run_id, task_id, map_index FROM task_instance WHERE task_id = :task) task
        USING (dag_id, run_id),
    LATERAL (SELECT 'veo_' || run.id || '_' || map_index AS generation,
        (run.id * 101 + map_index) % 10000 AS number) names
"""

MANIFEST: Final = """json_build_object(
    'version', 1, 'id', generation, 'type', 'text-to-video',
    'model', CASE number % 2 WHEN 0 THEN 'veo-3.1-fast-generate-001' ELSE 'veo-3.1-lite-generate-001' END,
    'status', CASE number % 100 WHEN 0 THEN 'failed' ELSE 'completed' END, 'credits_used', 190,
    'credits_remaining', 5000, 'created_at', at, 'completed_at', at + interval '1 minute',
    'prompt', 'A red fox trots through fresh snow at dawn, its breath a small cloud in the cold. '
        || CASE number WHEN 7 THEN 'A zebra watches. ' ELSE '' END || repeat('Low tracking shot. ', 10),
    'negative_prompt', null, 'duration_seconds', 8, 'aspect_ratio', '16:9', 'generate_audio', true,
    'seed', number, 'samples_expected', 1, 'accepted_at', at, 'map_index', map_index)"""

FILES: Final = """json_build_array(json_build_object(
    'generation_id', generation, 'index', 0, 'uri', 's3://aws@bucket/videos/' || generation || '_0.mp4',
    'size', 2000000, 'sha256', repeat('0', 64), 'mime_type', 'video/mp4'))"""

VALUES: Final = (
    ("generate", "return_value", "to_json(generation::text)"),
    ("generate", "generation", MANIFEST),
    ("wait", "return_value", "to_json(generation::text)"),
    ("wait", "generation", MANIFEST),
    ("download", "return_value", FILES),
    ("download", "stored_video_uris", "json_build_array('s3://aws@bucket/videos/' || generation)"),
)
"""XComs of a generation: task, key and value in SQL."""


def run() -> str:
    """Measure an API server on a filled database, and the plans of the queries."""
    from testbed.processes import free_ports
    from testbed.servers import Postgres

    with tempfile.TemporaryDirectory(prefix="veo3 videos ") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        database_port, port = free_ports(2)
        database = Postgres(folder / "postgres", folder, database_port)
        try:
            env = _settings(folder, database.url, port)
            show_progress("videos: create and fill the database")
            counts = run_module(__name__, "fill", env=env)
            show_progress("videos: plans of the queries")
            plans = run_module(__name__, "plans", env=env)["plans"]
            with _api_server(folder, port, env) as (api, resident):
                rows, memory = _measure(api, resident)
        finally:
            database.stop()
    first = rows[0]
    table = markdown_table(["request", "response, ms", "size, kB"], [row[:3] for row in rows])
    explained = markdown_table(
        ["query", "statements", "ms", "how PostgreSQL finds the rows"],
        [[name, plan["statements"], f"{plan['ms']:.0f}", ", ".join(plan["scans"])] for name, plan in plans],
    )
    return (
        f"{counts['generations']:,} generations in {counts['runs']:,} runs of {counts['dags']} DAGs, among"
        f" {counts['xcoms']:,} XComs in PostgreSQL {counts['server']}: half of them in runs of 100 mapped"
        f" tasks, half in runs of their own, over {DAYS} days. One worker of Airflow's API server responds"
        " over loopback; a response has no videos in it, which the browser asks for one by one. Milliseconds"
        f" are the median (lowest-highest) of {REQUESTS} requests, of 3 where the page keeps what it has"
        f" read.\n\n{table}\n\nThe first page takes {first[3]:.0f} ms; the target is {TARGET}. The API"
        f" server has {memory[0]:.0f} MiB after the first pages, and {memory[1]:.0f} MiB after all of these"
        f" requests.\n\n{explained}\n\nNo index of Airflow's orders XComs by time. A page therefore begins"
        " at the latest DAG runs and reaches their XComs through the primary key, whose first column is the"
        " run. Finding the latest runs has no index to use either: it reads and sorts the runs, never the"
        " XComs, and takes longer with more runs. Three requests read more, and take longer with more"
        " generations: the first of an API server, which searches all XComs for a key to list the DAGs with"
        " videos (PostgreSQL leaves the index on the key aside where much of the table has it, and Airflow"
        " 3.4 has none), after which only the latest runs are looked through, every 15 seconds; words that"
        " few prompts have, which no index can find, so that every manifest is read; and credits, which are"
        " added up from every manifest of their time."
    )


def _settings(folder: Path, database: str, port: int) -> dict[str, str]:
    from testbed.local_airflow import settings_as_env

    settings = {
        "core.simple_auth_manager_all_admins": "True",
        "core.load_examples": "False",
        "core.dags_folder": str(folder),
        "database.sql_alchemy_conn": database,
        "api.host": "127.0.0.1",
        "api.port": str(port),
        "api.base_url": f"http://127.0.0.1:{port}",
        "api.workers": "1",
        "api_auth.jwt_secret": secrets.token_urlsafe(32),
        "veo3.gallery_locations": "s3://aws@bucket/videos/",
        "usage_data_collection.enabled": "False",
    }
    return settings_as_env(settings) | {"AIRFLOW_HOME": str(folder)}


def _fill() -> None:
    """Create the tables and the rows, and print how many there are."""
    from airflow.utils.session import create_session
    from sqlalchemy import text

    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    with create_session() as session:
        for name, dags, runs, mapped in (MAPPED, SINGLE, OTHERS):
            session.execute(text(RUNS), {"name": name, "dags": dags, "runs": runs, "days": DAYS})
            for task, operator in TASKS.items():
                of_task = {"name": name, "task": task, "operator": operator, "mapped": mapped}
                session.execute(text(TASK_INSTANCES), of_task)
        for name, *_ in (MAPPED, SINGLE):
            for task, key, value in VALUES:
                session.execute(text(XCOMS.format(value=value)), {"name": name, "task": task, "key": key})
        other = {"name": OTHERS[0], "key": "return_value"}
        for task in TASKS:
            session.execute(text(XCOMS.format(value="to_json(number)")), {**other, "task": task})
        session.commit()
        session.execute(text("ANALYZE"))
        generations = "SELECT count(*) FROM xcom WHERE key = 'generation' AND task_id = 'generate'"
        of_videos = f"FROM dag_run WHERE dag_id NOT LIKE '{OTHERS[0]}%'"
        counted = {
            "generations": generations,
            "runs": f"SELECT count(*) {of_videos}",
            "dags": f"SELECT count(DISTINCT dag_id) {of_videos}",
            "xcoms": "SELECT count(*) FROM xcom",
            "server": "SHOW server_version_num",
        }
        found = {name: int(session.scalar(text(query))) for name, query in counted.items()}
    print_result(**{**found, "server": found["server"] // 10000})


@contextmanager
def _api_server(
    folder: Path, port: int, env: dict[str, str]
) -> Iterator[tuple[httpx.Client, Callable[[], float]]]:
    """Run an API server; yield a client of it, and the memory of its processes in MiB."""
    import os

    import httpx
    import psutil

    from testbed.processes import log_tail

    log = folder / "api-server.log"
    with log.open("wb") as output:
        process = psutil.Popen(
            [sys.executable, "-m", "airflow", "api-server"],
            env=os.environ | env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
                deadline = time.monotonic() + 300
                while not _is_up(client):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"the API server did not start:\n{log_tail(log)}")
                    time.sleep(0.2)
                token = client.get("/auth/token").raise_for_status().json()["access_token"]
                client.headers["Authorization"] = f"Bearer {token}"

                def resident() -> float:
                    family = [process, *process.children(recursive=True)]
                    return float(sum(each.memory_info().rss for each in family)) / 2**20

                yield client, resident
        finally:
            family = process.children(recursive=True)
            process.terminate()
            _, left = psutil.wait_procs([process, *family], timeout=20)
            for each in left:
                each.kill()


def _is_up(client: httpx.Client) -> bool:
    import httpx

    try:
        return client.get("/api/v2/version").is_success
    except httpx.TransportError:
        return False


def _measure(
    api: httpx.Client, resident: Callable[[], float]
) -> tuple[list[tuple[str, str, str, float]], tuple[float, float]]:
    """Return what each request took, and the memory before and after them."""
    month = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    tenth = None
    for _ in range(9):
        params: dict[str, Any] = {} if tenth is None else {"before": tenth}
        tenth = api.get("/veo3/api/videos", params=params).raise_for_status().json()["following"]
    before = resident()
    videos, campaign = "/veo3/api/videos", f"{MAPPED[0]}_1"
    run = {"dag_id": campaign, "run_id": "manual__250"}
    requests: list[tuple[str, str, dict[str, Any], float]] = [
        ("first page", videos, {}, 0),
        ("first page, with DAGs looked for anew", videos, {}, 15.1),
        ("tenth page", videos, {"before": tenth}, 0),
        ("run of half a year ago", videos, run, 0),
        ("failed", videos, {"status": "failed"}, 0),
        ("words that every prompt has", videos, {"words": "fox snow"}, 0),
        ("words that one prompt in 10,000 has", videos, {"words": "zebra watches"}, 0),
        ("words that no prompt has", videos, {"words": "unicorn"}, 0),
        ("in flight and at risk", "/veo3/api/overview", {}, 5.1),
        ("credits of 30 days", "/veo3/api/spend", {"since": month}, 0),
        ("credits of a year", "/veo3/api/spend", {"since": "2020-01-01"}, 0),
    ]
    rows = []
    for name, path, params, pause in requests:
        api.get(path, params=params).raise_for_status()
        times, size = [], 0
        for _ in range(3 if pause else REQUESTS):
            time.sleep(pause)
            begun = time.perf_counter()
            response = api.get(path, params=params).raise_for_status()
            times.append((time.perf_counter() - begun) * 1000)
            size = len(response.content)
        show_progress(f"videos: {name}: {median_and_range(times, 0)} ms")
        rows.append((name, median_and_range(times, 0), f"{size / 1000:.0f}", median(times)))
    return rows, (before, resident())


def _plans() -> None:
    """Print how PostgreSQL finds the rows of each query of the page."""
    from airflow.utils.session import create_session
    from sqlalchemy import event, text

    from airflow_provider_veo3.plugins.source import Scope, Source

    plans = []
    with create_session(scoped=False) as session:
        source = Source(session)
        dags = frozenset(source.video_dags())
        everything = Scope(dags)
        run = Scope(frozenset([f"{MAPPED[0]}_1"]), run_id="manual__250")
        rare = Scope(dags, needle="zebra watches.")
        now = datetime.now(UTC)
        queries: dict[str, Callable[[], object]] = {
            "DAGs with videos": source.video_dags,
            "DAGs with their first videos": lambda: source.further_video_dags(
                dags, now - timedelta(minutes=5)
            ),
            "first page": lambda: list(islice(source.newest_first(everything), 100)),
            "one run": lambda: list(islice(source.newest_first(run), 100)),
            "rare words": lambda: list(islice(source.newest_first(rare), 100)),
            "in flight and at risk": lambda: source.recent(dags, now - timedelta(hours=26)),
            "credits of 30 days": lambda: list(source.reports(Scope(dags, since=now - timedelta(days=30)))),
        }
        connection = session.connection()
        sent: list[tuple[str, Any]] = []

        def keep(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
            sent.append((statement, parameters))

        for name, query in queries.items():
            sent.clear()
            event.listen(connection, "before_cursor_execute", keep)
            query()
            event.remove(connection, "before_cursor_execute", keep)
            scans: dict[str, None] = {}
            spent = 0.0
            for statement, parameters in tuple(sent):
                found = connection.exec_driver_sql(f"EXPLAIN ANALYZE {statement}", parameters)
                plan = "\n".join(row[0] for row in found)
                spent += float(re.findall(r"Execution Time: ([\d.]+)", plan)[0])
                scans |= dict.fromkeys(_scans(plan))
            plans.append((name, {"statements": len(sent), "ms": spent, "scans": list(scans)}))
        session.execute(text("ROLLBACK"))
    print_result(plans=plans)


def _scans(plan: str) -> Iterator[str]:
    """Yield each way in which a plan reaches a table, such as ``xcom by xcom_pkey``."""
    for kind, index, table in re.findall(r"((?:\w+ )*Scan)(?: using (\w+))? on (\w+)", plan):
        if "Bitmap Index" in kind:
            yield f"index {table}"
        elif "Bitmap" not in kind:
            yield f"{table} by {index}" if index else f"**all of {table}**"


if __name__ == "__main__":
    {"fill": _fill, "plans": _plans}[sys.argv[1]]()
