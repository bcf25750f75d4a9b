"""The emulator's HTTP: the API, the file host, the control API."""

from __future__ import annotations
