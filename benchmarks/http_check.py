"""Check of a response by the http provider's trigger, for ``dags/cost/cost.py``."""

from __future__ import annotations

import json
from typing import Any


async def is_completed(response: Any) -> bool:
    """Return whether the status in a response is ``completed``."""
    return bool(json.loads(response.text)["status"] == "completed")
