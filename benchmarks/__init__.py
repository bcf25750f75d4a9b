"""Programs that measure, each by itself and against something known, and print ratios."""

from __future__ import annotations
