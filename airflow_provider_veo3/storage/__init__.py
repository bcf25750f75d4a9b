"""Finished videos into object storage: streamed, resumed, verified, and seen whole or not at all."""

from __future__ import annotations
