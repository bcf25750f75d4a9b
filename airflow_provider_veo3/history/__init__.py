"""The account's history: one reader of its pages, and the searches that use it."""

from __future__ import annotations
