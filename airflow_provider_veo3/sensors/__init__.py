"""Sensors that wait for videos."""

from __future__ import annotations
