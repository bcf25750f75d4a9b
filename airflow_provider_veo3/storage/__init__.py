"""Files in object storage and on disk: videos that are stored, and images and lists that are read."""

from __future__ import annotations
