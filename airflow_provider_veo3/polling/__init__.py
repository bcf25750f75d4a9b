"""Polling: one poller for every task that waits on a connection."""

from __future__ import annotations
