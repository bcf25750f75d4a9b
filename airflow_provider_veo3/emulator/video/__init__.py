"""The videos that the emulator renders."""

from __future__ import annotations
