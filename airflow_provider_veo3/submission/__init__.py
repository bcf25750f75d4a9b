"""One generation per task, paid for once: submit, remember, reconcile."""

from __future__ import annotations
