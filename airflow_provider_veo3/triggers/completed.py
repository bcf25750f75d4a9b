"""The trigger for an ``AssetWatcher``: an event for each generation that completes in an account."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any, Final

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_veo3.parameters import check_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_veo3.history.completed import Cursor

COMMIT_DELAY = 5.0
"""Seconds after an event at which the cursor is stored: by then Airflow has stored the event."""

RUN_DELAY = 15.0
"""Seconds in which Airflow has started the runs for an event. One that comes meanwhile starts none: it waits
for the asset's next event."""

STATE_PAUSES: Final = (1.0, 3.0, 9.0, 27.0, 60.0)
"""Seconds between tries to read the cursor; the last holds for all further ones."""


class Veo3CompletedGenerationsTrigger(BaseEventTrigger):
    """Fire an event for each generation that completes in an account, whoever submitted it.

    For ``AssetWatcher(name=..., trigger=Veo3CompletedGenerationsTrigger())`` of an asset that DAGs are
    scheduled on. The payload is the manifest: id, type, model, status, credits, times; never a link, for
    which the DAG has ``Veo3DownloadOperator``. All watchers on a connection in one triggerer share one look
    at the account's history, which costs one request while little happens.

    Airflow may start one run for several events. Of several at once the last comes 15 seconds after the
    others, since Airflow starts no run for an event that comes while it starts another, but gives it to the
    run for the next one.

    In Airflow 3.3 and later a cursor is kept in the asset's state store: what completes while no triggerer
    runs is told when one runs again, and nothing is told twice, except by a triggerer that is ended within 20
    seconds of an event. Before, it tells what completes while it runs. What the API lists more than an hour
    after its completion is not told. Trouble is waited out, whatever it is; a key that is refused, until the
    connection has another.

    :param veo3_conn_id: Airflow connection of type ``veo3``. Default ``veo3_default``.
    :param poll_interval: seconds between two looks; the shortest of those on a connection holds. Default 300,
        which is 288 requests a day of the vendor's 1000.
    :raises Veo3ValidationError: ``poll_interval`` is no number of seconds above 0.
    """

    def __init__(self, *, veo3_conn_id: str = "veo3_default", poll_interval: float = 300.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        check_seconds("poll_interval", poll_interval)
        self.veo3_conn_id = veo3_conn_id
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again: nothing secret."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"veo3_conn_id": self.veo3_conn_id, "poll_interval": self.poll_interval},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each; never ends by itself."""
        from airflow_provider_veo3.history.completed import Cursor
        from airflow_provider_veo3.polling.account import watching

        began = time.time()
        cursor = await self._load() or Cursor(began)
        async with watching(self.veo3_conn_id, cursor, self.poll_interval) as watcher:
            told = float("-inf")
            while True:
                looks = [await watcher.looks.get()]
                while not watcher.looks.empty():
                    looks.append(watcher.looks.get_nowait())
                before = cursor.to_json()
                new = [generation for seen in looks for generation in cursor.take(seen, time.time())]
                for generation in new:
                    if generation is new[-1]:  # which thereby starts the run for those that wait
                        await asyncio.sleep(max(0.0, told + RUN_DELAY - time.monotonic()))
                    self.log.info("Generation %s is completed.", generation.id)
                    yield TriggerEvent(generation.manifest())
                    told = time.monotonic()
                if cursor.to_json() != before:
                    if new:  # better an event twice than never
                        await asyncio.sleep(COMMIT_DELAY)
                    await self._save(cursor)

    @property
    def _key(self) -> str:
        """Where the cursor lies: an asset may be watched through several connections."""
        return f"veo3_completed_{hashlib.sha256(self.veo3_conn_id.encode()).hexdigest()[:16]}"

    @property
    def _stores(self) -> list[Any]:
        """The state of each asset that this watches for; none before Airflow 3.3, or outside a watcher."""
        accessors = getattr(self, "asset_state_store", None)
        if accessors is None:
            return []
        # equal triggers of several assets are one to Airflow, and then it wants to know which asset is meant
        by_asset = [*getattr(accessors, "_by_name", {}).values(), *getattr(accessors, "_by_uri", {}).values()]
        return by_asset or [accessors]

    async def _load(self) -> Cursor | None:
        """Read the furthest cursor; that it cannot be read does not mean that there is none."""
        from airflow_provider_veo3.history.completed import Cursor

        pauses = list(STATE_PAUSES)
        while True:
            try:
                stored = [await store.aget(self._key) for store in self._stores]
            except Exception as error:  # noqa: BLE001 - whatever stands between here and Airflow's database
                self.log.warning("The cursor cannot be read (%s); trying again.", error)
                await asyncio.sleep(pauses.pop(0) if len(pauses) > 1 else pauses[0])
                continue
            cursors = [cursor for value in stored if (cursor := Cursor.from_json(value)) is not None]
            if len(cursors) < sum(value is not None for value in stored):
                self.log.warning("What is stored under %s is no cursor; beginning now.", self._key)
            return max(cursors, key=lambda cursor: cursor.floor or 0.0, default=None)

    async def _save(self, cursor: Cursor) -> None:
        try:
            for store in self._stores:
                await store.aset(self._key, cursor.to_json())
        except Exception as error:  # noqa: BLE001 - the next look stores it too
            self.log.warning("The cursor cannot be stored (%s).", error)
