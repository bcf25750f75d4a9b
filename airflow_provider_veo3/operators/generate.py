"""The operators that submit generations."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_veo3.links import Veo3GenerationLink, publish_manifest
from airflow_provider_veo3.parameters import check_choice, check_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_veo3.api.request import GenerationRequest, GenerationType
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.parameters import Flag, Number, Text
    from airflow_provider_veo3.polling.result import WaitResult
    from airflow_provider_veo3.submission.rate_limit import Admission
    from airflow_provider_veo3.submission.record import OnAmbiguous

ON_AMBIGUOUS: Final[tuple[OnAmbiguous, ...]] = ("fail", "adopt_newest", "resubmit")

OPTIONS: Final = (
    "prompt",
    "model",
    "sample_count",
    "duration_seconds",
    "aspect_ratio",
    "generate_audio",
    "enhance_prompt",
    "negative_prompt",
    "seed",
    "person_generation",
    "extra_options",
)
"""What a generation is, by the names of the parameters."""


class Veo3TextToVideoOperator(BaseOperator):
    """Generate a video from text.

    Returns the generation id, so that ``.output`` feeds a sensor or a download. The XCom key
    ``generation`` holds a small manifest: id, type, model, status, credits used and remaining, times.
    Numbers and booleans may come as text, as templates and CSV files give them. Every option is checked
    before anything is sent: a bad one fails the task with the field, the value and what is allowed.

    :param prompt: what the video shows; 1 to 1000 characters (templated, as all options are).
    :param model: model id. Default ``veo-3.1-fast-generate-001``: 190 credits a video, 120 without sound.
    :param sample_count: videos to make, 1 or 2; each is charged. Default 1.
    :param duration_seconds: length in seconds, 4 to 8, of which 6 and 8 are safe: the vendor says 5 to 8,
        the models behind it know 4, 6 and 8. Charged as 8 whatever it is. Default 8.
    :param aspect_ratio: ``16:9`` or ``9:16``. Default ``16:9``.
    :param generate_audio: whether the video has sound; changes the price. Default ``True``.
    :param enhance_prompt: whether the API may rewrite the prompt. Default ``True``.
    :param negative_prompt: what the video must not show; at most 500 characters. Default none.
    :param seed: 0 to 4294967295. Default ``None``: the API chooses.
    :param person_generation: ``allow_adult`` or ``dont_allow``. Default ``allow_adult``.
    :param extra_options: options the vendor adds later, by their API names, sent as they are.
    :param max_credits: most credits that the generation may cost, a whole number from 0 (templated). The
        task asks the API for its prices first; what costs more, or has none, is not submitted. What an
        earlier attempt has paid for is taken up whatever it cost. Default ``None``: no limit, no request.
    :param veo3_conn_id: Airflow connection of type ``veo3`` (templated). Default ``veo3_default``.
    :param wait_for_completion: submit and wait in this one task, the shape for campaigns: with a pool that
        includes deferred tasks its slots are the generations in flight. Default ``False``: submit only, and
        let a :class:`~airflow_provider_veo3.sensors.generation.Veo3GenerationSensor` wait.
    :param deferrable: wait in the triggerer, which holds no worker: for the video, and, where the API
        refuses for now (429) for more than 5 seconds, to be let in, which burns no try of the task. Otherwise
        a worker waits. Default ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks. Default ``None``: the connection's, 10 unless set there.
    :param timeout: seconds to wait for the video. Default 1800; a video typically takes 45 to 120. With
        ``deferrable`` as many may be spent before that on being let in; an API that asks to stay away beyond
        them, as at the end of a day's requests, fails the task at once.
    :param durable: take up what an earlier attempt of the task has submitted, instead of paying again.
        Default ``True``. Airflow 3.3 and later remember it; before, the account's history is searched.
    :param on_ambiguous_submission: where the answer to an earlier submission was lost and several generations
        in the history could be it: ``fail`` (default; the error names the ids), ``adopt_newest`` or
        ``resubmit``, which may pay twice. Where it was accepted, or is in the history, under no id that can
        be used, both others fail.
    :raises Veo3ValidationError: an option is not acceptable; nothing was sent.
    :raises Veo3ConnectionConfigError: the connection cannot be used; nothing was sent.
    :raises Veo3CreditLimitError: it would cost more than ``max_credits``; nothing was sent, no retry.
    :raises Veo3PermanentApiError: the API refuses (key, credits, content, options); not retried.
    :raises Veo3NoAnswerError: no connection could be made, or the answer was lost and the history cannot be
        searched for it; a retry looks there first. :class:`Veo3ServerError` of a 5xx likewise.
    :raises Veo3RateLimitError: the API would not let it in in time; says how long it has refused.
    :raises Veo3StateError: it cannot be told or noted whether an earlier attempt has paid; nothing was sent.
    :raises Veo3AmbiguousSubmissionError: see ``on_ambiguous_submission``.
    :raises Veo3GenerationFailedError: waited for, it failed and was refunded; a retry submits anew, unless
        it was refused for its content (:class:`Veo3GenerationRefusedError`).
    :raises Veo3GenerationTimeoutError: waited for, it was still running after ``timeout``.
    """

    generation_type: ClassVar[GenerationType] = "text-to-video"
    image_fields: ClassVar[tuple[str, ...]] = ()

    template_fields: Sequence[str] = (*OPTIONS, "max_credits", "veo3_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"extra_options": "json"}
    operator_extra_links = (Veo3GenerationLink(),)
    ui_color = "#d9cdf5"

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
        poll_interval: float | None = None,
        timeout: float = 1800.0,
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
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.durable = durable
        self.on_ambiguous_submission = on_ambiguous_submission
        self._generation_id: str | None = None
        check_seconds("timeout", timeout)
        if poll_interval is not None:
            check_seconds("poll_interval", poll_interval)
        check_choice("on_ambiguous_submission", on_ambiguous_submission, ON_AMBIGUOUS)

    def execute(self, context: Context) -> str:
        """Submit, and wait where that is asked for."""
        from airflow_provider_veo3.submission.rate_limit import Admission

        return self._execute(context, Admission(give_up_at=time.time() + self.timeout))

    def execute_again(self, context: Context, event: Any = None) -> str:
        """Go on where the API had refused for now, with what the trigger's event remembers of that."""
        from airflow_provider_veo3.submission.rate_limit import Admission

        return self._execute(context, Admission.from_event(event))

    def _execute(self, context: Context, admission: Admission) -> str:
        from airflow_provider_veo3.operators._generating import (
            naming_what_was_paid_for,
            obtain,
            tell_accepted,
            wait_here,
        )
        from airflow_provider_veo3.polling.result import ended
        from airflow_provider_veo3.polling.wait import accepted_at
        from airflow_provider_veo3.submission.budget import read_max_credits
        from airflow_provider_veo3.triggers.generation import defer_until_done

        with naming_what_was_paid_for(self, context):
            request = self._request()
            max_credits = read_max_credits(self.max_credits, is_limited=self._is_limited)
        generation = obtain(
            self,
            context,
            self._hook,
            request,
            among=Veo3TextToVideoOperator,
            admission=admission if self.deferrable else None,
            max_credits=max_credits,
        )
        self._generation_id = generation.id
        model = tell_accepted(self, context, self._hook.settings.base_url, request, generation)
        if not self.wait_for_completion:
            self._mark_delivered(context, generation.id)
            return generation.id
        if generation.status.is_terminal:  # taken up from an earlier attempt
            return self._finish(context, ended(generation))
        since = accepted_at(generation, time.time())
        if self.deferrable:
            how: dict[str, Any] = {"poll_interval": self.poll_interval, "accepted_at": since, "model": model}
            defer_until_done(self, context, generation.id, self.veo3_conn_id, self.timeout, **how)
        return self._finish(context, wait_here(self, self._hook, generation.id, since, model))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Take up the trigger's event; start over where Airflow 3.0 brings an earlier attempt's."""
        from airflow_provider_veo3.triggers.events import is_stale

        if is_stale(next_kwargs, context):
            return self.execute(context)
        return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: Any = None) -> str:
        """Take up the trigger's event."""
        from airflow_provider_veo3.operators._generating import as_accepted
        from airflow_provider_veo3.polling.result import WaitResult

        return self._finish(context, WaitResult.from_event(event, as_accepted(context).get("id")))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's
        """Return the images as inputs and the generation as output."""
        from airflow_provider_veo3.operators._lineage import lineage_of_generating

        images = [getattr(self, name) for name in self.image_fields]
        base_url = self._hook.settings.base_url if self._generation_id is not None else None
        return lineage_of_generating(images, base_url, self._generation_id)

    def on_kill(self) -> None:
        """Say what a person who ends the task should know."""
        if self._generation_id is not None:
            self.log.warning(
                "The API has no way to cancel a generation: %s goes on and stays paid for. Store it with "
                "Veo3DownloadOperator within 24 hours of its completion.",
                self._generation_id,
            )

    @cached_property
    def _hook(self) -> Veo3Hook:
        from airflow_provider_veo3.hooks.veo3 import Veo3Hook

        return Veo3Hook(self.veo3_conn_id)

    def _request(self) -> GenerationRequest:
        """Read the images and check every option."""
        from airflow_provider_veo3.operators._generating import request_of

        options = {name: getattr(self, name) for name in OPTIONS}
        return request_of(self, options, self._hook.settings.api_key)

    def _mark_delivered(self, context: Context, generation_id: str) -> None:
        from airflow_provider_veo3.submission.store import context_memory, context_task, mark_delivered

        mark_delivered(context_memory(context, durable=self.durable), context_task(context), generation_id)

    def _finish(self, context: Context, result: WaitResult) -> str:
        """Publish a completed generation, fail on any other end."""
        from airflow_provider_veo3.operators._generating import as_accepted

        self._generation_id = result.generation_id
        manifest = result.manifest_or_raise()
        balance = as_accepted(context).get("credits_remaining")  # only the acceptance tells it
        publish_manifest(context, manifest | {"credits_remaining": balance})
        self._mark_delivered(context, result.generation_id)
        self.log.info("%s", result.message)
        return result.generation_id


class Veo3ImageToVideoOperator(Veo3TextToVideoOperator):
    """Generate a video that starts from an image.

    Takes everything that :class:`Veo3TextToVideoOperator` takes, with the same XComs and errors, and:

    :param image: JPEG or PNG file of at most 20 MB, its type read from its content: a local path or any URI
        that ``ObjectStoragePath`` opens, such as ``s3://conn@bucket/key.png`` (templated).
    """

    generation_type = "image-to-video"
    image_fields = ("image",)
    template_fields: Sequence[str] = ("image", *Veo3TextToVideoOperator.template_fields)

    def __init__(self, *, image: Text, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image = image


class Veo3FirstLastFrameOperator(Veo3TextToVideoOperator):
    """Generate a video that runs from one image to another.

    Veo 3.1 Quality and Fast can do this. The vendor names the endpoint but not its form fields: where the
    defaults are refused, set ``first_frame_field`` and ``last_frame_field`` in the connection's extra.

    Takes everything that :class:`Veo3TextToVideoOperator` takes, with the same XComs and errors, and:

    :param first_frame: JPEG or PNG file of at most 20 MB: a local path or any URI that
        ``ObjectStoragePath`` opens (templated).
    :param last_frame: the same for the end.
    """

    generation_type = "first-last-frame"
    image_fields = ("first_frame", "last_frame")
    template_fields: Sequence[str] = ("first_frame", "last_frame", *Veo3TextToVideoOperator.template_fields)

    def __init__(self, *, first_frame: Text, last_frame: Text, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first_frame = first_frame
        self.last_frame = last_frame
