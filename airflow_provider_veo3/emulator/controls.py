"""The handles on a running emulator, the same for Python and for the control API."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.config.settings import check_key
from airflow_provider_veo3.emulator.service.clock import iso
from airflow_provider_veo3.emulator.service.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.service.world import World


class Controls:
    """Steers a world; safe to call from any thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.base_url = ""
        self.files_url = ""

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._world.settings

    @property
    def api_key(self) -> str:
        """The key of the default account."""
        return self.settings.api_key

    def inject(self, fault: Fault | Mapping[str, Any]) -> str:
        """Put a fault in force and return its id."""
        return self._world.faults.add(fault if isinstance(fault, Fault) else Fault.read(fault))

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force, with how often each has met a request."""
        return self._world.faults.shown()

    def clear_faults(self) -> None:
        """Lift all faults."""
        self._world.faults.clear()

    def ledger(self) -> dict[str, Any]:
        """Everything that happened: tasks, credits, requests, leaks."""
        return self._world.ledger()

    def configure(self, **changes: Any) -> None:
        """Change options while the emulator runs; they hold for what comes after."""
        self._world.configure(changes)

    def shown_settings(self) -> dict[str, Any]:
        """The options in force as JSON, without the key."""
        shown = dataclasses.asdict(self.settings)
        del shown["api_key"]
        return shown

    def reset(self) -> None:
        """Forget tasks, faults, keys and requests, and go back to the first settings."""
        self._world.reset()

    def add_key(
        self,
        key: str,
        *,
        credits: int | None = None,  # noqa: A002 - the vendor's word
        disabled: bool | None = None,
        account: str | None = None,
    ) -> dict[str, Any]:
        """Add a key, or change one.

        :param key: the key, which begins with ``veo3_``.
        :param credits: what the account shall have; a new account has 0.
        :param disabled: whether the key is refused with 401.
        :param account: name of the account of a new key, so that several keys can share one;
            by default the key gets an account of its own.
        """
        if credits is not None and credits < 0:
            raise ValueError(f"credits={credits!r}: must not be negative")
        added = self._world.put_key(check_key(key), credits_left=credits, disabled=disabled, account=account)
        return {
            "fingerprint": added.fingerprint,
            "account": added.account.name,
            "credits": added.account.credits,
            "disabled": added.disabled,
        }

    def force(self, task_id: str, outcome: str, error: str | None = None) -> dict[str, Any]:
        """Decide a task's fate now.

        :param outcome: ``complete``, ``fail`` (refunds the credits) or ``lose`` (unknown from then on).
        :param error: why it failed.
        """
        task = self._world.force(task_id, outcome, error)
        state = task.state(self._world.clock.now())
        return {"id": task.id, "status": state.name.lower(), "lost": task.lost, "refunded": task.refunded}

    def advance(self, seconds: float) -> str:
        """Let time pass on the wire's clock, without waiting; returns the new time."""
        self._world.advance(seconds)
        return iso(self._world.clock.now())
