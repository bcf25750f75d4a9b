"""The emulated service without HTTP: accounts, credits, tasks, limits, faults and the ledger."""

from __future__ import annotations
