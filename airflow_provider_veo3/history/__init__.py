"""Reading the account's history: one page reader for everyone who searches it."""

from __future__ import annotations
