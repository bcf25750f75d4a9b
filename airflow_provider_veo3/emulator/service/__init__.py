"""The emulated service: accounts, credits, generations, limits, faults."""

from __future__ import annotations
