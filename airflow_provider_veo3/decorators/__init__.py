"""Functions that become generating tasks."""

from __future__ import annotations
