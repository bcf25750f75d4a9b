"""`make chaos`: kill Airflow's processes, then count payments and stored videos.

A real Airflow runs a campaign against the emulator, which loses responses, cuts connections and serves
broken files, while Airflow's own processes are killed or stopped for a while. All of it is drawn from a seed.
At the end, the emulator's ledger, the DAG runs and an observer of the destination must agree that each video
was paid for once and is stored whole, and that nothing else was ever visible at the destination.

The files, from top to bottom; each imports only from lower lines, and all of them from ``testbed``:

    __main__
    campaign                   one campaign, from the start of its processes to the verdict
    killer  evidence  distributed  report
    killable_airflow  observer
    verdict  plan              pure: no processes, no network

``dags/`` has the DAG that the Airflow under test runs.
"""

from __future__ import annotations
