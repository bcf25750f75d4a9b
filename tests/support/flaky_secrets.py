"""A secrets backend that fails for a while."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from airflow.secrets import BaseSecretsBackend

PATH = f"{__name__}.FlakySecrets"


class FlakySecrets(BaseSecretsBackend):
    """Secrets backend that fails so many times, then gives its connections."""

    failures: ClassVar[int] = 0
    reads: ClassVar[int] = 0
    connections: ClassVar[dict[str, dict[str, Any]]] = {}

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        cls = type(self)
        if conn_id not in cls.connections:
            return None
        cls.reads += 1
        if cls.reads <= cls.failures:
            raise ConnectionError("the vault is sealed")
        return json.dumps(cls.connections[conn_id])
