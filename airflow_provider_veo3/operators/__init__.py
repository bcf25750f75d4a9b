"""Tasks that generate and store videos."""

from __future__ import annotations
