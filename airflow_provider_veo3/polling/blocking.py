"""Polling in a worker, which blocks it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.retries import ONCE
from airflow_provider_veo3.exceptions import Veo3AuthenticationError, Veo3Error
from airflow_provider_veo3.polling.result import WaitResult

if TYPE_CHECKING:
    from airflow_provider_veo3.api.clock import Clock
    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.polling.wait import Wait

log = logging.getLogger(__name__)


def wait_blocking(hook: Veo3Hook, wait: Wait, clock: Clock = time) -> WaitResult:
    """Wait in a worker until a generation has ended or the deadline passes."""
    verdict: WaitResult | float = wait.first_poll(clock.time())
    while not isinstance(verdict, WaitResult):
        log_progress(wait, clock)
        clock.sleep(verdict)
        verdict = poll_once(hook, wait, clock)
    return verdict


def poll_once(hook: Veo3Hook, wait: Wait, clock: Clock = time) -> WaitResult | float:
    """Poll once: return the end of the wait, or the seconds until the next poll."""
    try:
        generation = _status(hook, wait.generation_id)
    except Veo3Error as error:
        verdict = wait.on_error(error, clock.time())
    else:
        verdict = wait.on_generation(generation, clock.time())
    _log_lines(wait)
    return verdict


def _status(hook: Veo3Hook, generation_id: str) -> Generation:
    """Request the status; if the key is refused, again with a key that has replaced it in the connection."""
    try:
        return _status_once(hook, generation_id)
    except Veo3AuthenticationError:
        if not hook.reconnect():
            raise
    log.info("The connection %s has changed; polling with the new key.", hook.veo3_conn_id)
    return _status_once(hook, generation_id)


def _status_once(hook: Veo3Hook, generation_id: str) -> Generation:
    flow = flows.get_generation(generation_id, hook.settings.base_url, ONCE)
    return hook.get_conn().run(flow, poll=True)


def log_progress(wait: Wait, clock: Clock = time) -> None:
    """Log the state of a wait at its beginning and after each quarter of it."""
    wait.log_progress(clock.time())
    _log_lines(wait)


def _log_lines(wait: Wait) -> None:
    for line in wait.take_lines():
        log.log(line.level, "%s", line.text)
