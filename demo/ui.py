"""`make ui`: the example DAGs in Airflow's user interface, until Ctrl-C.

Without a key, the DAGs use the VEO3 emulator. With ``VEO3_API_KEY`` set, they use the real API.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from demo.run import QUICKSTART, destination_url, environment
from testbed.console import Progress
from testbed.emulator import EmulatorProcess
from testbed.local_airflow import LocalAirflow
from testbed.processes import exit_on_sigterm


def main() -> None:
    """Run until an interrupt."""
    exit_on_sigterm()
    progress = Progress()
    with ExitStack() as stack:
        env = environment("VEO3_API_KEY") | environment("VEO3_BASE_URL")
        env |= {"VEO3_DESTINATION": destination_url()}
        emulator = None
        if "VEO3_API_KEY" in env:
            progress.show("VEO3_API_KEY is set: these DAGs spend the credits of your account")
        else:
            progress.show("Starting the VEO3 emulator; no key is set, so no credits are spent")
            emulator = stack.enter_context(EmulatorProcess(processing_seconds=20))
        progress.show("Starting Airflow: API server, DAG processor, scheduler, triggerer")
        airflow = stack.enter_context(LocalAirflow(env | {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}))
        if emulator:
            # The port in its own field: Airflow 3.3.2 does not test a connection without one.
            host, port = emulator.base_url.rsplit(":", 1)
            airflow.api.create_connection(
                "veo3_default", "veo3", host=host, port=int(port), password=emulator.api_key
            )
        progress.show("Airflow is healthy")
        print(f"\n  Open      {airflow.url}/dags/{QUICKSTART}")
        print(f"  User      {airflow.user}")
        print(f"  Password  {airflow.password}")
        print(f"  Videos    {env['VEO3_DESTINATION'].removeprefix('file://')}")
        print(f"  Logs      {airflow.home}")
        print("\nPress the Trigger button in the browser. Press Ctrl-C here to end everything.", flush=True)
        while True:
            airflow.check_running()
            time.sleep(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nEnded.")
        sys.exit(0)
