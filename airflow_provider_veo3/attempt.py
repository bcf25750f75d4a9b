"""One attempt of a generating task: what Airflow tells it, and how it leaves an API that refuses for now."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

from airflow_provider_veo3.claims import RunClaims
from airflow_provider_veo3.exactly_once import ExactlyOnce
from airflow_provider_veo3.exceptions import Veo3RateLimitError
from airflow_provider_veo3.memory import context_memory, context_task

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_veo3.admission import Admission
    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator


def obtain(
    task: Veo3TextToVideoOperator,
    context: Context,
    hook: Veo3Hook,
    request: GenerationRequest,
    *,
    among: type,
    admission: Admission | None,
) -> Generation:
    """Return the generation of the task instance at hand; see :class:`ExactlyOnce`.

    :param among: the operator whose tasks share the run's generations.
    :param admission: how the task has been refused so far; ``None`` waits in this worker where it is.
    """
    attempt = ExactlyOnce(
        hook,
        request,
        context_task(context),
        memory=context_memory(context, durable=task.durable),
        claims=RunClaims(context, among),
        on_ambiguous=task.on_ambiguous_submission,
        defers=admission is not None,
    )
    try:
        return attempt.obtain()
    except Veo3RateLimitError as error:
        if admission is None:
            raise
        refusal = error
    return stay_away(task, admission, refusal)


def stay_away(task: BaseOperator, admission: Admission, error: Veo3RateLimitError) -> NoReturn:
    """Hand a task that the API refuses for now to the triggerer; it goes on in its ``execute_again``.

    :raises Veo3RateLimitError: it has been refused for as long as it may be.
    """
    from airflow_provider_veo3.triggers.backoff import Veo3BackoffTrigger
    from airflow_provider_veo3.waiting import DEFERRAL_MARGIN

    now = time.time()
    until, remembered = admission.refused(error, now, random.random())  # noqa: S311
    task.log.warning(
        "%s Trying again at %s, without a worker until then; refused for %.0f s so far, at most until %s.",
        error,
        _clock(until),
        now - (remembered.refused_since or now),
        _clock(remembered.give_up_at),
    )
    task.defer(
        trigger=Veo3BackoffTrigger(until=until, event=remembered.to_event()),
        method_name="execute_again",
        timeout=timedelta(seconds=remembered.give_up_at - now + DEFERRAL_MARGIN),
    )


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
