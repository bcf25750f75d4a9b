"""The trigger for an ``AssetWatcher``: an event for each generation that completes in an account."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_veo3.parameters import read_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_veo3.history.completed import Cursor
    from airflow_provider_veo3.parameters import Seconds


class Veo3CompletedGenerationsTrigger(BaseEventTrigger):
    """Fire an event for each generation that completes in an account, from any client.

    For ``AssetWatcher(name=..., trigger=Veo3CompletedGenerationsTrigger())`` of an asset that DAGs are
    scheduled on. The payload is the manifest: id, type, model, status, credits, times; never a link, for
    which the DAG has ``Veo3DownloadOperator``. All watchers on a connection in one triggerer share one poller
    of the account's history, which costs one request per poll while little happens.

    Airflow may start one run for several events. Of several at once the last comes 15 seconds after the
    others, since Airflow starts no run for an event that comes while it starts another, but gives it to the
    run for the next one.

    In Airflow 3.3 and later a cursor is kept in the asset's state store: what completes while no triggerer
    runs is reported when one runs again, and nothing is reported twice, except by a triggerer that is ended
    within 20 seconds of an event. Before, only completions while it runs are reported, and also where several
    assets have equal triggers, of which Airflow makes a single one: give each another ``poll_interval``, such
    as 300 and 301. A generation that the API lists more than an hour after its completion is not reported.
    All trouble is waited out; a refused key, until the connection has another.

    :param veo3_conn_id: Airflow connection of type ``veo3``. Default ``veo3_default``.
    :param poll_interval: seconds between two polls; the shortest of those on a connection holds. Default 300,
        which is 288 requests a day of the vendor's 1000.
    :raises Veo3ValidationError: ``poll_interval`` is no number of seconds above 0.
    """

    commit_delay = 5.0
    """Seconds after an event at which the cursor is stored: by then Airflow has stored the event."""
    run_delay = 15.0
    """Seconds in which Airflow has started the runs for an event. One that comes meanwhile starts none: it
    waits for the asset's next event."""
    state_pauses: tuple[float, ...] = (1.0, 3.0, 9.0, 27.0, 60.0)
    """Seconds between tries to read the cursor; the last holds for all further ones."""

    def __init__(self, *, veo3_conn_id: str = "veo3_default", poll_interval: Seconds = 300.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.veo3_conn_id = veo3_conn_id
        self.poll_interval = read_seconds("poll_interval", poll_interval)
        self._store: Any = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again: nothing secret."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"veo3_conn_id": self.veo3_conn_id, "poll_interval": self.poll_interval},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each completion, without end."""
        from airflow_provider_veo3.history.completed import Cursor
        from airflow_provider_veo3.polling.account import watching

        began = time.time()
        # none before Airflow 3.3, or outside a watcher
        self._store = getattr(self, "asset_state_store", None)
        cursor = await self._load() or Cursor(began)
        async with watching(self.veo3_conn_id, cursor, self.poll_interval) as watcher:
            last_event = float("-inf")
            while True:
                results = [await watcher.results.get()]
                while not watcher.results.empty():
                    results.append(watcher.results.get_nowait())
                before = cursor.to_json()
                new = [generation for result in results for generation in cursor.take(result, time.time())]
                for generation in new:
                    if generation is new[-1]:  # which thereby starts the run for those that wait
                        await asyncio.sleep(max(0.0, last_event + self.run_delay - time.monotonic()))
                    self.log.info("Generation %s is completed.", generation.id)
                    yield TriggerEvent(generation.manifest())
                    last_event = time.monotonic()
                if cursor.to_json() != before:
                    if new:  # better an event twice than never
                        await asyncio.sleep(self.commit_delay)
                    await self._save(cursor)

    @property
    def _key(self) -> str:
        """Key of the cursor in the state store; an asset may be watched through several connections."""
        return f"veo3_completed_{hashlib.sha256(self.veo3_conn_id.encode()).hexdigest()[:16]}"

    async def _load(self) -> Cursor | None:
        """Read the furthest cursor; an error does not mean that there is none."""
        from airflow_provider_veo3.history.completed import Cursor

        pauses = list(self.state_pauses)
        while self._store is not None:
            try:
                value = await self._store.aget(self._key)
            except Exception as error:  # noqa: BLE001 - whatever stands between here and Airflow's database
                # the store of several assets wants to be told which, and has no list of them
                if type(error) is ValueError:
                    self.log.warning(
                        "No cursor is kept, since several assets have a trigger like this one: what "
                        "completes while no triggerer runs is not reported. Give each trigger another "
                        "poll_interval."
                    )
                    self._store = None
                    return None
                self.log.warning("The cursor cannot be read (%s); trying again.", error)
                await asyncio.sleep(pauses.pop(0) if len(pauses) > 1 else pauses[0])
            else:
                cursor = Cursor.from_json(value)
                if value is not None and cursor is None:
                    self.log.warning("The value stored under %s is no cursor; beginning now.", self._key)
                return cursor
        return None

    async def _save(self, cursor: Cursor) -> None:
        if self._store is None:
            return
        try:
            await self._store.aset(self._key, cursor.to_json())
        except Exception as error:  # noqa: BLE001 - the next poll stores it too
            self.log.warning("The cursor cannot be stored (%s).", error)
