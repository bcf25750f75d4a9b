"""Auth manager for tests: one user may read neither some DAGs nor the XComs of some others."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

LIMITED_USER = "bob"
HIDDEN = "hidden_"
"""Start of the ids of DAGs that the limited user may not read."""
WITHOUT_XCOMS = "closed_"
"""Start of the ids of DAGs whose XComs the limited user may not read."""


class PerDagAuthManager(SimpleAuthManager):  # type: ignore[misc, unused-ignore]
    """Airflow's simple auth manager, with limits on one user."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        """Return whether the user may read a DAG, or a part of it."""
        if user.get_name() == LIMITED_USER and details and details.id:
            if details.id.startswith(HIDDEN):
                return False
            if details.id.startswith(WITHOUT_XCOMS) and access_entity == DagAccessEntity.XCOM:
                return False
        allowed: bool = super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
        return allowed
