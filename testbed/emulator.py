"""The VEO3 emulator in a process of its own, as a user would start it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

if TYPE_CHECKING:
    from types import TracebackType

API_KEY: Final = "veo3_demo_0123456789abcdef"


class EmulatorDidNotStartError(Exception):
    """The emulator ended early; the message carries what it said."""


class EmulatorProcess:
    """Start the emulator on free ports on entry, end it on exit.

    :param options: options of ``python -m airflow_provider_veo3.emulator``: ``processing_seconds=5``.
    """

    def __init__(self, **options: str | float) -> None:
        self.options = {
            "port": 0,
            "files_port": 0,
            "api_key": API_KEY,
            "seed": time.time_ns() % 2**31,
        } | options
        self.api_key = API_KEY
        self.base_url = ""
        self.files_url = ""
        self._folder = tempfile.TemporaryDirectory(prefix="veo3 emulator ")
        self.log_file = Path(self._folder.name) / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it, and wait until it answers."""
        try:
            self._start()
        except BaseException as error:  # Ctrl-C too
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    def connection(self, **extra: float) -> str:
        """Give an Airflow connection to it, as the value of a variable ``AIRFLOW_CONN_...``."""
        fields = {"conn_type": "veo3", "host": self.base_url, "password": self.api_key, "extra": extra}
        return json.dumps(fields)

    def ledger(self) -> dict[str, Any]:
        """Give what was accepted, charged, refunded, fetched and asked."""
        return self._control("GET", "ledger")

    def configure(self, **options: str | float) -> None:
        """Change options; they hold for generations that come after."""
        self._control("POST", "settings", options)

    def complete(self, generation_id: str) -> None:
        """Finish a generation now."""
        self._control("POST", f"tasks/{generation_id}", {"outcome": "complete"})

    def inject(self, fault: dict[str, Any]) -> str:
        """Put a fault in force and give its id."""
        return str(self._control("POST", "faults", fault)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """Give the faults in force, with how often each has met a request."""
        found: list[dict[str, Any]] = self._control("GET", "faults")["faults"]
        return found

    def clear_faults(self) -> None:
        """Lift all faults."""
        self._control("DELETE", "faults")

    def _start(self) -> None:
        ready, log = self.log_file.with_name("ready.json"), self.log_file
        words = [f"--{name.replace('_', '-')}={value}" for name, value in self.options.items()]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow_provider_veo3.emulator", *words, f"--ready-file={ready}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us: we end it in order
            )
        while not ready.is_file():
            if self._process.poll() is not None:
                raise EmulatorDidNotStartError(log.read_text(errors="replace"))
            time.sleep(0.05)
        facts = json.loads(ready.read_text())
        self.base_url, self.files_url = facts["base_url"], facts["files_url"]

    def _control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = httpx.request(
            method, f"{self.base_url}/__emulator__/{path}", json=body, trust_env=False, timeout=120
        )
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said
