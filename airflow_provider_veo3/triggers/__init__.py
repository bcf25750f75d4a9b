"""Triggers: waits in the triggerer, which hold no worker."""

from __future__ import annotations
