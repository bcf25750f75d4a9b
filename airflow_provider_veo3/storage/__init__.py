"""Transfer of finished videos to object storage: streamed, resumed, checked, visible only when whole."""

from __future__ import annotations
