"""Base class of the tasks that generate a video: one attempt, its deferrals, and what it publishes."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from airflow_provider_veo3.airflow_names import BaseOperator, conf
from airflow_provider_veo3.exceptions import logged_by_sentence
from airflow_provider_veo3.links import MANIFEST_KEY, Veo3VideosLink, publish_manifest
from airflow_provider_veo3.parameters import (
    OPTIONS,
    check_choice,
    check_execution_timeout,
    read_flag,
    read_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_veo3.airflow_names import Context, XComArg
    from airflow_provider_veo3.api.clock import Clock
    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.api.request import GenerationRequest, GenerationType
    from airflow_provider_veo3.exceptions import Veo3RateLimitError
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.parameters import Flag, Number, Seconds, Text
    from airflow_provider_veo3.polling.result import WaitResult
    from airflow_provider_veo3.submission.decisions import OnAmbiguous, Timings
    from airflow_provider_veo3.submission.rate_limit import RateLimitBackoff
    from airflow_provider_veo3.submission.store import RecordStore
    from airflow_provider_veo3.submission.submitter import Submitter

ON_AMBIGUOUS: Final[tuple[OnAmbiguous, ...]] = ("fail", "adopt_newest", "resubmit")


class GeneratingOperator(BaseOperator):
    """Base of the operators that generate a video, with the parameters of ``Veo3TextToVideoOperator``."""

    generation_type: ClassVar[GenerationType]
    image_fields: ClassVar[tuple[str, ...]] = ()

    template_fields: Sequence[str] = (*OPTIONS, "max_credits", "veo3_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"extra_options": "json"}
    operator_extra_links = (Veo3VideosLink(),)
    ui_color = "#d9cdf5"

    clock: ClassVar[Clock] = time
    """Clock of the task's own waits; tests put another one in its place."""
    timings: ClassVar[Timings | None] = None
    """Time limits of the search for a lost response; ``None``: the production values."""

    def __init__(
        self,
        *,
        prompt: Text,
        model: Text = "veo-3.1-fast-generate-001",
        sample_count: Number = 1,
        duration_seconds: Number = 8,
        aspect_ratio: Text = "16:9",
        generate_audio: Flag = True,
        enhance_prompt: Flag = True,
        negative_prompt: Text | None = None,
        seed: Number | None = None,
        person_generation: Text = "allow_adult",
        extra_options: Mapping[str, Any] | XComArg | None = None,
        max_credits: Number | None = None,
        veo3_conn_id: str = "veo3_default",
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: Seconds | None = None,
        timeout: Seconds = 1800.0,
        durable: bool = True,
        on_ambiguous_submission: OnAmbiguous = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.prompt = prompt
        self.model = model
        self.sample_count = sample_count
        self.duration_seconds = duration_seconds
        self.aspect_ratio = aspect_ratio
        self.generate_audio = generate_audio
        self.enhance_prompt = enhance_prompt
        self.negative_prompt = negative_prompt
        self.seed = seed
        self.person_generation = person_generation
        self.extra_options = extra_options
        self.max_credits = max_credits
        self._is_limited = max_credits is not None
        self.veo3_conn_id = veo3_conn_id
        self.wait_for_completion = read_flag("wait_for_completion", wait_for_completion)
        self.deferrable = read_flag("deferrable", deferrable)
        self.poll_interval = None if poll_interval is None else read_seconds("poll_interval", poll_interval)
        self.timeout = read_seconds("timeout", timeout)
        self.durable = read_flag("durable", durable)
        self.on_ambiguous_submission = on_ambiguous_submission
        self._generation_id: str | None = None
        self._manifest: Mapping[str, Any] | None = None
        check_choice("on_ambiguous_submission", on_ambiguous_submission, ON_AMBIGUOUS)
        if self.deferrable and self.wait_for_completion:
            check_execution_timeout(self.task_id, self.execution_timeout, self.timeout)

    def execute(self, context: Context) -> str:
        """Submit the generation, and wait for it if ``wait_for_completion`` is set."""
        from airflow_provider_veo3.submission.rate_limit import RateLimitBackoff

        with logged_by_sentence():
            return self._attempt(context, RateLimitBackoff(give_up_at=self.clock.time() + self.timeout))

    def execute_again(self, context: Context, event: Any = None) -> str:
        """Submit again after a deferred back-off, whose state the event carries."""
        from airflow_provider_veo3.submission.rate_limit import RateLimitBackoff

        return self._attempt(context, RateLimitBackoff.from_event(event))

    def execute_complete(self, context: Context, event: Any = None) -> str:
        """Finish after a deferred wait, whose result the event carries."""
        from airflow_provider_veo3.polling.result import WaitResult

        return self._finish(context, WaitResult.from_event(event, self._published(context).get("id")))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume with the trigger's event; start over if it is of an earlier attempt.

        Airflow 3.0 keeps the event of an attempt that failed, and resumes the retry with it.
        """
        from airflow_provider_veo3.triggers.events import is_stale

        if is_stale(next_kwargs, context):
            return self.execute(context)
        with logged_by_sentence():
            return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Warn that the generation goes on and stays paid for."""
        if self._generation_id is not None:
            self.log.warning(
                "The task was ended; the API has no way to cancel generation %s, which goes on and stays "
                "paid for. Store it with Veo3DownloadOperator within 24 hours of its completion.",
                self._generation_id,
            )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's
        """Return the images as inputs and the generation as output."""
        from airflow_provider_veo3.operators._lineage import lineage_of_generating

        return lineage_of_generating(
            images=[getattr(self, name) for name in self.image_fields],
            base_url=None if self._generation_id is None else self._hook.settings.base_url,
            generation_id=self._generation_id,
        )

    def _attempt(self, context: Context, backoff: RateLimitBackoff) -> str:
        """Obtain the generation, then end, wait here, or defer."""
        from airflow_provider_veo3.exceptions import Veo3RateLimitError
        from airflow_provider_veo3.polling.result import ended
        from airflow_provider_veo3.polling.wait import accepted_at

        submitter, request = self._submitter(context)
        try:
            generation = submitter.obtain()
        except Veo3RateLimitError as error:
            if not self.deferrable:
                raise
            self._defer_backoff(context, backoff, error)
        if not self.wait_for_completion:
            submitter.mark_delivered(generation)
            return generation.id
        if generation.status.is_terminal:  # of an earlier attempt
            return self._finish(context, ended(generation))
        model = generation.model or request.model
        return self._wait(context, generation.id, accepted_at(generation, self.clock.time()), model)

    def _submitter(self, context: Context) -> tuple[Submitter, GenerationRequest]:
        """Check everything that was given, before anything is sent."""
        from airflow_provider_veo3.submission.budget import read_max_credits
        from airflow_provider_veo3.submission.claims import RunClaims
        from airflow_provider_veo3.submission.decisions import PRODUCTION
        from airflow_provider_veo3.submission.resume_decision import ResumeDecision
        from airflow_provider_veo3.submission.store import Attempt
        from airflow_provider_veo3.submission.submitter import Submitter

        timings = self.timings or PRODUCTION
        with self._naming_a_paid_generation(context):
            request = self._request()
            max_credits = read_max_credits(self.max_credits, is_limited=self._is_limited)
        submitter = Submitter(
            self._hook,
            request,
            Attempt.of(context, self.clock),
            store=self._store(context),
            claims=RunClaims(context, GeneratingOperator, self.clock, timings.airflow_patience),
            publish=lambda generation, accepted: self._publish(context, request, generation, accepted),
            on_ambiguous=self.on_ambiguous_submission,
            defers=self.deferrable,
            max_credits=max_credits,
            decision=ResumeDecision.of(context, durable=self.durable),
            clock=self.clock,
            timings=timings,
        )
        return submitter, request

    def _request(self) -> GenerationRequest:
        """Read the images and check every option.

        :raises Veo3ValidationError: an option is not acceptable.
        """
        from airflow_provider_veo3.api.request import GenerationRequest, check_holds_no_key
        from airflow_provider_veo3.storage.images import read_image

        options = {name: getattr(self, name) for name in OPTIONS}
        sources = {name: getattr(self, name) for name in self.image_fields}
        given = {**options, **sources, "max_credits": self.max_credits}
        check_holds_no_key(given, self._hook.settings.api_key)
        images = tuple(read_image(name, source) for name, source in sources.items())
        options["extra_options"] = self.extra_options or {}
        return GenerationRequest(self.generation_type, images=images, **options)

    @contextmanager
    def _naming_a_paid_generation(self, context: Context) -> Iterator[None]:
        """Log the generation of an earlier attempt when this attempt fails before it submits."""
        from airflow_provider_veo3.exceptions import Veo3StateError

        try:
            yield
        except Exception:
            with suppress(Veo3StateError):
                record = self._store(context).load("")
                if record is not None and record.generation_id is not None:
                    self.log.warning(
                        "An earlier attempt of this task paid for generation %s. Store it with "
                        "Veo3DownloadOperator within 24 hours of its completion, or fix the error below and "
                        "clear the task.",
                        record.generation_id,
                    )
            raise

    def _store(self, context: Context) -> RecordStore:
        from airflow_provider_veo3.submission.decisions import PRODUCTION
        from airflow_provider_veo3.submission.store import record_store

        return record_store(
            context, durable=self.durable, clock=self.clock, timings=self.timings or PRODUCTION
        )

    def _publish(
        self, context: Context, request: GenerationRequest, generation: Generation, accepted: float
    ) -> None:
        """Publish and log a generation that is this task's.

        :param accepted: Unix seconds when the generation was accepted.
        """
        from airflow_provider_veo3.polling.wait import iso

        self._generation_id = generation.id  # a kill from here on names it
        # the API's response does not repeat the options
        options = {name: getattr(request, name) for name in OPTIONS}
        details = {
            "type": request.type,
            "samples_expected": options.pop("sample_count"),
            **options,
            "model": generation.model or request.model,
            "extra_options": dict(request.extra_options) or None,
            "accepted_at": iso(accepted),
        }
        self._manifest = generation.manifest() | details
        publish_manifest(context, self._manifest)
        used, left = (
            "an unknown number of" if number is None else str(number)
            for number in (generation.credits_used, generation.credits_remaining)
        )
        self.log.info(
            "Generation %s: %s, model %s, %s credits used, %s left.",
            generation.id,
            request.type,
            request.model,
            used,
            left,
        )

    def _published(self, context: Context) -> Mapping[str, Any]:
        """Return the manifest from the acceptance, which outlives a deferral as an XCom."""
        if self._manifest is None:  # another process has published it
            ti = context["ti"]
            manifest = ti.xcom_pull(task_ids=ti.task_id, key=MANIFEST_KEY, map_indexes=ti.map_index)
            self._manifest = manifest if isinstance(manifest, dict) else {}
        return self._manifest

    def _defer_backoff(
        self, context: Context, backoff: RateLimitBackoff, error: Veo3RateLimitError
    ) -> NoReturn:
        """Defer a rate-limited submission; the task continues in ``execute_again``.

        :raises Veo3RateLimitError: the API refuses for longer than the task may wait.
        """
        from airflow_provider_veo3.polling.wait import iso
        from airflow_provider_veo3.triggers.backoff import Veo3BackoffTrigger
        from airflow_provider_veo3.triggers.events import earliest_event, with_try_number
        from airflow_provider_veo3.triggers.generation import DEFERRAL_MARGIN

        now = self.clock.time()
        until, following = backoff.after(error, now, random.random())  # noqa: S311
        until = max(until, earliest_event(now))
        self.log.warning(
            "%s Submitting again at %s, without a worker until then. Refused for %.0f s so far; the task "
            "gives up at %s.",
            error,
            iso(until),
            now - (following.refused_since or now),
            iso(following.give_up_at),
        )
        self.defer(
            trigger=Veo3BackoffTrigger(
                until=until, event=with_try_number(following.to_event(), context["ti"].try_number)
            ),
            method_name="execute_again",
            timeout=timedelta(seconds=following.give_up_at - now + DEFERRAL_MARGIN),
        )

    def _wait(self, context: Context, generation_id: str, since: float, model: str) -> str:
        """Wait for the generation: deferred, or in this worker.

        :param since: Unix seconds when the generation was accepted.
        """
        from airflow_provider_veo3.polling.blocking import wait_blocking
        from airflow_provider_veo3.polling.wait import Wait
        from airflow_provider_veo3.triggers.generation import defer_wait

        if self.deferrable:
            defer_wait(
                self,
                context,
                generation_id,
                self.veo3_conn_id,
                self.timeout,
                poll_interval=self.poll_interval,
                accepted_at=since,
                model=model,
                clock=self.clock,
            )
        interval = self._hook.settings.poll_interval_for(self.poll_interval)
        wait = Wait(generation_id, self.clock.time() + self.timeout, interval, since, model)
        return self._finish(context, wait_blocking(self._hook, wait, self.clock))

    def _finish(self, context: Context, result: WaitResult) -> str:
        """Publish a generation that has ended, and fail unless it is completed."""
        from airflow_provider_veo3.submission.store import Attempt, mark_delivered

        self._generation_id = result.generation_id
        published: Mapping[str, Any] = {}
        if result.has_ended:
            # the result repeats neither the options nor the balance
            published = self._published(context)
            kept = {name: value for name, value in published.items() if result.manifest.get(name) is None}
            publish_manifest(context, {**result.manifest, **kept})
        manifest = result.manifest_or_raise()
        self._warn_of_missing(
            result.generation_id, published.get("samples_expected"), manifest.get("samples")
        )
        mark_delivered(self._store(context), Attempt.of(context, self.clock), result.generation_id)
        self.log.info("%s", result.message)
        return result.generation_id

    def _warn_of_missing(self, generation_id: str, expected: object, samples: object) -> None:
        """Warn of a completed generation that has fewer videos than were requested."""
        if isinstance(expected, int) and isinstance(samples, int) and samples < expected:
            self.log.warning(
                "Generation %s is completed, and has so far %d of the %d videos that were requested and "
                "charged. Veo3DownloadOperator waits two minutes for the others, then stores what is there, "
                "and fails with require_all_samples=True. If they do not come, ask the vendor to refund "
                "their credits.",
                generation_id,
                samples,
                expected,
            )

    @cached_property
    def _hook(self) -> Veo3Hook:
        from airflow_provider_veo3.hooks.veo3 import Veo3Hook

        return Veo3Hook(self.veo3_conn_id)
