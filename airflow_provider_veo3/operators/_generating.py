"""One attempt of a generating task: what Airflow and it tell each other, and how it waits to be let in."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_veo3.exceptions import Veo3RateLimitError, Veo3StateError
from airflow_provider_veo3.links import MANIFEST_KEY, publish_link, publish_manifest
from airflow_provider_veo3.submission.claims import RunClaims
from airflow_provider_veo3.submission.store import context_memory, context_task
from airflow_provider_veo3.submission.submitter import ExactlyOnce

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
    from airflow_provider_veo3.polling.result import WaitResult
    from airflow_provider_veo3.submission.rate_limit import Admission


def request_of(task: Veo3TextToVideoOperator, options: Mapping[str, Any], api_key: str) -> GenerationRequest:
    """Read the images and check every option.

    :raises Veo3ValidationError: one is not acceptable.
    """
    from airflow_provider_veo3.api.request import GenerationRequest, check_holds_no_key
    from airflow_provider_veo3.storage.images import read_image

    sources = {name: getattr(task, name) for name in task.image_fields}
    check_holds_no_key({**options, **sources, "max_credits": task.max_credits}, api_key)
    images = tuple(read_image(name, source) for name, source in sources.items())
    given = {**options, "extra_options": task.extra_options or {}}
    return GenerationRequest(task.generation_type, images=images, **given)


@contextmanager
def naming_what_was_paid_for(task: Veo3TextToVideoOperator, context: Context) -> Iterator[None]:
    """Name the generation that an earlier attempt has paid for, where this one fails before it looks."""
    try:
        yield
    except Exception:
        with suppress(Veo3StateError):
            record = context_memory(context, durable=task.durable).load("")
            if record is not None and record.generation_id is not None:
                task.log.warning(
                    "An earlier attempt of this task has paid for generation %s. Store it with "
                    "Veo3DownloadOperator within 24 hours of its completion, or put right what follows and "
                    "clear the task.",
                    record.generation_id,
                )
        raise


def obtain(
    task: Veo3TextToVideoOperator,
    context: Context,
    hook: Veo3Hook,
    request: GenerationRequest,
    *,
    among: type,
    admission: Admission | None,
    max_credits: int | None,
) -> Generation:
    """Return the generation of the task instance at hand; see :class:`ExactlyOnce`.

    :param among: the operator whose tasks share the run's generations.
    :param admission: how the task has been refused so far; ``None`` waits in this worker where it is.
    :param max_credits: what a new one may cost; ``None`` for no limit.
    """
    attempt = ExactlyOnce(
        hook,
        request,
        context_task(context),
        memory=context_memory(context, durable=task.durable),
        claims=RunClaims(context, among),
        on_ambiguous=task.on_ambiguous_submission,
        defers=admission is not None,
        max_credits=max_credits,
    )
    try:
        return attempt.obtain()
    except Veo3RateLimitError as error:
        if admission is None:
            raise
        refusal = error
    return stay_away(task, context, admission, refusal)


def stay_away(
    task: BaseOperator, context: Context, admission: Admission, error: Veo3RateLimitError
) -> NoReturn:
    """Hand a task that the API refuses for now to the triggerer; it goes on in its ``execute_again``.

    :raises Veo3RateLimitError: it has been refused for as long as it may be.
    """
    from airflow_provider_veo3.triggers.backoff import Veo3BackoffTrigger
    from airflow_provider_veo3.triggers.events import of_try
    from airflow_provider_veo3.triggers.generation import DEFERRAL_MARGIN

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
        trigger=Veo3BackoffTrigger(
            until=until, event=of_try(remembered.to_event(), context["ti"].try_number)
        ),
        method_name="execute_again",
        timeout=timedelta(seconds=remembered.give_up_at - now + DEFERRAL_MARGIN),
    )


def tell_accepted(
    task: BaseOperator, context: Context, base_url: str, request: GenerationRequest, generation: Generation
) -> str:
    """Publish and log a generation that the API has accepted; return its model."""
    # the acceptance does not repeat what was asked for
    model = generation.model or request.model
    publish_manifest(context, generation.manifest() | {"type": request.type, "model": model})
    publish_link(context, base_url, generation.id)
    told = (generation.id, request.type, request.model)
    balance = (_or_unknown(generation.credits_used), _or_unknown(generation.credits_remaining))
    task.log.info("Generation %s: %s, model %s, %s credits used, %s left.", *told, *balance)
    return model


def wait_here(
    task: Veo3TextToVideoOperator, hook: Veo3Hook, generation_id: str, since: float, model: str
) -> WaitResult:
    """Wait in this worker until the generation has ended.

    :param since: Unix seconds when it was accepted.
    """
    from airflow_provider_veo3.polling.blocking import wait_blocking
    from airflow_provider_veo3.polling.wait import Wait

    interval = task.poll_interval or hook.settings.poll_interval
    return wait_blocking(hook, Wait(generation_id, time.time() + task.timeout, interval, since, model))


def as_accepted(context: Context) -> dict[str, Any]:
    """Return the manifest from when the generation was accepted, which a deferral outlives."""
    ti = context["ti"]
    manifest = ti.xcom_pull(task_ids=ti.task_id, key=MANIFEST_KEY, map_indexes=ti.map_index)
    return manifest if isinstance(manifest, dict) else {}


def _or_unknown(number: int | None) -> str:
    return "an unknown number of" if number is None else str(number)


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
