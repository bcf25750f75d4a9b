"""A local VEO3 API: every endpoint, the file host, credits, limits and injected faults.

``python -m airflow_provider_veo3.emulator`` runs it as a process; tests use
``with Emulator(Settings()) as emulator``.

The floors, top floor first; imports run downward only, and nothing outside this folder is imported::

    __main__                      the command line
    emulator                      ``Emulator``: the service on real sockets
    http/                         the API, the file host and the control API: requests, responses, sockets
    service/ video/               accounts, tasks, limits, faults and the ledger; rendering of videos
    config/                       the options

The names below are imported on first use, and need the extra ``airflow-provider-veo3[emulator]``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.emulator import Emulator
    from airflow_provider_veo3.emulator.service.clock import Clock, FrozenClock
    from airflow_provider_veo3.emulator.service.faults import Fault

__all__ = ["Clock", "Emulator", "Fault", "FrozenClock", "Settings"]

_MODULES = {
    "Clock": "service.clock",
    "Emulator": "emulator",
    "Fault": "service.faults",
    "FrozenClock": "service.clock",
    "Settings": "config.settings",
}
_EXTRA = {"av", "PIL", "pydantic", "multipart", "python_multipart", "starlette", "uvicorn", "h11"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        message = f"The emulator needs {error.name}: pip install 'airflow-provider-veo3[emulator]'"
        raise ModuleNotFoundError(message, name=error.name) from error
    return getattr(module, name)
