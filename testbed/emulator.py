"""The VEO3 emulator as a process, started from the command line as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from testbed.processes import end_process

if TYPE_CHECKING:
    from types import TracebackType

API_KEY: Final = "veo3_demo_0123456789abcdef"


class EmulatorDidNotStartError(Exception):
    """The emulator process ended before it was ready; the message is its output."""


class EmulatorProcess:
    """Context manager that runs the emulator on free ports of loopback.

    :param options: options of ``python -m airflow_provider_veo3.emulator``, such as ``processing_seconds=5``.
    """

    def __init__(self, **options: str | float) -> None:
        self.options = {
            "port": 0,
            "files_port": 0,
            "api_key": API_KEY,
            "seed": time.time_ns() % 2**31,
        } | options
        self.api_key = str(self.options["api_key"])
        self.base_url = ""
        self.files_url = ""
        self._folder = tempfile.TemporaryDirectory(prefix="veo3-emulator-")
        self.log_file = Path(self._folder.name) / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the emulator, and wait until it is ready."""
        try:
            self._start()
        except BaseException as error:  # Ctrl-C too
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the emulator and remove its folder."""
        if self._process is not None:
            end_process(self._process, timeout=5)
        self._folder.cleanup()

    def connection(self, **extra: float) -> str:
        """Return an Airflow connection to the emulator, as the value of a variable ``AIRFLOW_CONN_...``.

        :param extra: extras of the connection, such as ``poll_interval=2``.
        """
        fields = {"conn_type": "veo3", "host": self.base_url, "password": self.api_key, "extra": extra}
        return json.dumps(fields)

    def ledger(self) -> dict[str, Any]:
        """Return the ledger: generations, credits charged and refunded, files served, requests received."""
        return self._control("GET", "ledger")

    def configure(self, **options: str | float) -> None:
        """Change options for generations that are submitted from now on."""
        self._control("POST", "settings", options)

    def complete(self, generation_id: str) -> None:
        """Complete a generation now."""
        self._control("POST", f"tasks/{generation_id}", {"outcome": "complete"})

    def fail(self, generation_id: str) -> None:
        """Let a generation fail now."""
        self._control("POST", f"tasks/{generation_id}", {"outcome": "fail"})

    def inject(self, fault: dict[str, Any]) -> str:
        """Add a fault and return its id."""
        return str(self._control("POST", "faults", fault)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """Return the active faults, each with the number of requests it has met."""
        found: list[dict[str, Any]] = self._control("GET", "faults")["faults"]
        return found

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._control("DELETE", "faults")

    def _start(self) -> None:
        ready, log = self.log_file.with_name("ready.json"), self.log_file
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self.options.items()]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow_provider_veo3.emulator", *options, f"--ready-file={ready}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process only, which ends the emulator in order
            )
        while not ready.is_file():
            if self._process.poll() is not None:
                raise EmulatorDidNotStartError(log.read_text(errors="replace"))
            time.sleep(0.05)
        urls = json.loads(ready.read_text())
        self.base_url, self.files_url = urls["base_url"], urls["files_url"]

    def _control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        response = httpx.request(
            method, f"{self.base_url}/__emulator__/{path}", json=body, trust_env=False, timeout=120
        )
        response.raise_for_status()
        parsed: dict[str, Any] = response.json()
        return parsed
