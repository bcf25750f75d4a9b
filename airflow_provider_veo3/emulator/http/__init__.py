"""The emulator over HTTP: the API, the file host and the control API."""

from __future__ import annotations
