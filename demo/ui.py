"""`make ui`: the example DAGs in Airflow's user interface, until Ctrl-C.

Without a key, the DAGs use the VEO3 emulator, and three of them run at once, so that the Videos page has
videos to play. With ``VEO3_API_KEY`` set, the DAGs use the real API, and a person triggers them.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from airflow_provider_veo3.links import VIDEOS_ROUTE
from demo.credits import BASE_URL, KEY, DemoRefusedError, price_of
from demo.run import CHEAPEST_MODEL, GENERATING_TASKS, QUICKSTART, destination_url, environment
from testbed.console import Progress
from testbed.emulator import EmulatorProcess
from testbed.local_airflow import LocalAirflow
from testbed.processes import exit_on_sigterm


def main() -> None:
    """Run until an interrupt."""
    exit_on_sigterm()
    progress = Progress()
    with ExitStack() as stack:
        destination = destination_url()
        env = environment(KEY) | environment(BASE_URL)
        env |= {
            "VEO3_DESTINATION": destination,
            "AIRFLOW__VEO3__GALLERY_LOCATIONS": destination,
            "AIRFLOW__VEO3__GALLERY_RUN_TAB": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        }
        emulator = None
        if KEY in env:
            price = price_of(CHEAPEST_MODEL, env)
            progress.show(f"{KEY} is set and accepted: these DAGs spend the credits of your account,")
            progress.show(f"{price} for a video with {CHEAPEST_MODEL}, more with other models")
        else:
            progress.show("Starting the VEO3 emulator; no key is set, so no credits are spent")
            emulator = stack.enter_context(EmulatorProcess(processing_seconds=20))
        progress.show("Starting Airflow: API server, DAG processor, scheduler, triggerer")
        airflow = stack.enter_context(LocalAirflow(env))
        if emulator:
            # The port in its own field: Airflow 3.3.2 does not test a connection without one.
            host, port = emulator.base_url.rsplit(":", 1)
            airflow.api.create_connection(
                "veo3_default", "veo3", host=host, port=int(port), password=emulator.api_key
            )
            airflow.wait_for_dags(GENERATING_TASKS)
            for dag_id in GENERATING_TASKS:
                airflow.api.trigger(dag_id)
            progress.show(f"Airflow is healthy; making a video with each of {', '.join(GENERATING_TASKS)}")
        else:
            progress.show("Airflow is healthy")
        print(f"\n{addresses(airflow, emulator)}")
        print("\nTo make more videos, press the Trigger button of a DAG.")
        print("Press Ctrl-C here to end everything.", flush=True)
        while True:
            airflow.check_running()
            time.sleep(1)


def addresses(airflow: LocalAirflow, emulator: EmulatorProcess | None) -> str:
    """Return a text with the addresses, folders and the login of the running demo."""
    rows = [
        ("Open", f"{airflow.url}/plugin/{VIDEOS_ROUTE}"),
        ("DAG", f"{airflow.url}/dags/{QUICKSTART}"),
        ("User", airflow.user),
        ("Password", airflow.password),
        ("Videos", airflow.env["VEO3_DESTINATION"].removeprefix("file://")),
        ("Logs", str(airflow.home)),
    ]
    if emulator:
        rows.append(("Emulator", f"{emulator.base_url} (what it charged: /__emulator__/ledger)"))
    return "\n".join(f"  {name:9} {value}" for name, value in rows)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nEnded.")
        sys.exit(0)
    except DemoRefusedError as error:
        sys.exit(f"The demo cannot start: {error}")
