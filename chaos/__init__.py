"""`make chaos`: kill, hang and lie, and count afterwards what was paid, stored and seen."""

from __future__ import annotations
