"""`make chaos`: kill, hang and lie, and count afterwards what was paid, stored and seen.

A real Airflow runs a campaign against the emulator, which loses answers, cuts connections and serves broken
files, while Airflow's own processes are killed. A seed decides all of it (``plan``). Then the emulator's
ledger, the DAG run and an observer of the destination must agree that every wanted video was paid for once
and lies whole in storage, and that nothing else was ever to be seen there (``verdict``).
"""

from __future__ import annotations
