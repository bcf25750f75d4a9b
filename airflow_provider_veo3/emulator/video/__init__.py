"""Rendering of videos: from a script to an MP4 file."""

from __future__ import annotations
