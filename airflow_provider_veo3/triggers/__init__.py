"""Waits that hold no worker."""

from __future__ import annotations
