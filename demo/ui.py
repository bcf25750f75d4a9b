"""`make ui`: the example DAGs in Airflow's user interface, against the emulator, until Ctrl-C.

With ``VEO3_API_KEY`` set, the DAGs use the real API.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import ExitStack

from demo.run import QUICKSTART, destination, given
from testbed.emulator import EmulatorProcess
from testbed.local_airflow import LocalAirflow
from testbed.watch import Clock


def main() -> None:
    """Run until it is interrupted."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    clock = Clock()
    with ExitStack() as stack:
        env = given("VEO3_API_KEY") | given("VEO3_BASE_URL") | {"VEO3_DESTINATION": destination()}
        emulator = None
        if "VEO3_API_KEY" in env:
            clock.say("VEO3_API_KEY is set: these DAGs spend the credits of your account")
        else:
            clock.say("Starting the VEO3 emulator; no key is set, so nothing is paid")
            emulator = stack.enter_context(EmulatorProcess(processing_seconds=20))
        clock.say("Starting Airflow: API server, DAG processor, scheduler, triggerer")
        airflow = stack.enter_context(LocalAirflow(env | {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}))
        if emulator:
            # the port by itself: Airflow 3.3.2 does not test a connection that has none
            address, port = emulator.base_url.rsplit(":", 1)
            airflow.api.add_connection(
                "veo3_default", "veo3", host=address, port=int(port), password=emulator.api_key
            )
        clock.say("Airflow is healthy")
        print(f"\n  Open      {airflow.url}/dags/{QUICKSTART}")
        print(f"  User      {airflow.user}")
        print(f"  Password  {airflow.password}")
        print(f"  Videos    {env['VEO3_DESTINATION'].removeprefix('file://')}")
        print(f"  Logs      {airflow.home}")
        print("\nPress the Trigger button. Ctrl-C here ends it all.", flush=True)
        while True:
            airflow.alive()
            time.sleep(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nEnded.")
        sys.exit(0)
