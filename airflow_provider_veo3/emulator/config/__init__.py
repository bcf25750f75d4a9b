"""Options of the emulator and the readings of the vendor's silences."""

from __future__ import annotations
