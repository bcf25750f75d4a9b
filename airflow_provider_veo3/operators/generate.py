"""Operators that generate videos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.operators._generating import GeneratingOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_veo3.parameters import Text


class Veo3TextToVideoOperator(GeneratingOperator):
    """Generate a video from text.

    Returns the generation id, so that ``.output`` feeds a sensor or a download. The XCom key
    ``generation`` holds a small manifest: id, type, model, status, credits used and remaining, times.
    Numbers and booleans may come as text, as templates and CSV files give them. Every option is checked
    before anything is sent: a bad option fails the task with its name, its value and the allowed values.

    :param prompt: description of the video; 1 to 1000 characters (templated, as all options are).
    :param model: model id. Default ``veo-3.1-fast-generate-001``: 190 credits a video, 120 without sound.
    :param sample_count: videos to make, 1 or 2; each is charged. Default 1.
    :param duration_seconds: length in seconds, 4 to 8, of which 6 and 8 are safe: the vendor says 5 to 8,
        the models behind it know 4, 6 and 8. Charged as 8 in any case. Default 8.
    :param aspect_ratio: ``16:9`` or ``9:16``. Default ``16:9``.
    :param generate_audio: whether the video has sound; changes the price. Default ``True``.
    :param enhance_prompt: whether the API may rewrite the prompt. Default ``True``.
    :param negative_prompt: description of what to avoid; at most 500 characters. Default none.
    :param seed: 0 to 4294967295. Default ``None``: the API chooses.
    :param person_generation: ``allow_adult`` or ``dont_allow``. Default ``allow_adult``.
    :param extra_options: options the vendor adds later, by their API names, sent as they are.
    :param max_credits: most credits that the generation may cost, a whole number from 0 (templated). The
        task asks the API for its prices first; a generation that costs more, or that has no listed price, is
        not submitted. A generation already paid for is reused regardless of its cost. Default ``None``: no
        limit, and no request for the prices.
    :param veo3_conn_id: Airflow connection of type ``veo3`` (templated). Default ``veo3_default``.
    :param wait_for_completion: submit and wait in this one task, the shape for campaigns: with a pool that
        includes deferred tasks, the pool's slots are the generations in flight. Default ``False``: submit
        only, and let a :class:`~airflow_provider_veo3.sensors.generation.Veo3GenerationSensor` wait.
    :param deferrable: wait in the triggerer, which holds no worker: for the video, and, where the API
        answers 429 and asks for a pause of more than 5 seconds, for the next submission, which burns no try
        of the task. Otherwise a worker waits. Default ``[operators] default_deferrable``.
    :param poll_interval: seconds between two polls. Default ``None``: the connection's, 10 unless set there.
    :param timeout: seconds to wait for the video. Default 1800; a video typically takes 45 to 120. With
        ``deferrable``, a rate-limited submission may take as long again before that; a pause that would end
        later, as at the end of a day's requests, fails the task at once.
    :param durable: reuse the generation that an earlier attempt of the task has submitted, instead of paying
        again. Default ``True``. Airflow 3.3 and later keep a record of it; before, the account's history is
        searched.
    :param on_ambiguous_submission: policy where the response to an earlier submission was lost and several
        generations in the history could belong to it: ``fail`` (default; the error names the ids),
        ``adopt_newest`` or ``resubmit``, which may pay twice. Where the submission was accepted under an id
        that cannot be used, both ``fail`` and ``adopt_newest`` fail.
    :raises Veo3ValidationError: an option is not acceptable; nothing was sent.
    :raises Veo3ConnectionConfigError: the connection cannot be used; nothing was sent.
    :raises Veo3CreditLimitError: the price is above ``max_credits``; nothing was sent, no retry.
    :raises Veo3PermanentApiError: the API refuses (key, credits, content, options); not retried.
    :raises Veo3NoAnswerError: no connection could be made, or the response was lost and the history cannot be
        searched for it; a retry searches first. :class:`Veo3ServerError` of a 5xx likewise.
    :raises Veo3RateLimitError: the API stayed rate limited for too long; says for how long.
    :raises Veo3StateError: the record of an earlier attempt cannot be read or written; nothing was sent.
    :raises Veo3AmbiguousSubmissionError: see ``on_ambiguous_submission``.
    :raises Veo3GenerationFailedError: the awaited generation failed and was refunded; a retry submits again,
        unless the content was refused (:class:`Veo3GenerationRefusedError`).
    :raises Veo3GenerationTimeoutError: the awaited generation was still running after ``timeout``.
    """

    generation_type = "text-to-video"


class Veo3ImageToVideoOperator(GeneratingOperator):
    """Generate a video that starts from an image.

    Takes everything that :class:`Veo3TextToVideoOperator` takes, with the same XComs and errors, and:

    :param image: JPEG or PNG file of at most 20 MB, its type read from its content: a local path or any URI
        that ``ObjectStoragePath`` opens, such as ``s3://conn@bucket/key.png`` (templated).
    """

    generation_type = "image-to-video"
    image_fields = ("image",)
    template_fields: Sequence[str] = ("image", *GeneratingOperator.template_fields)

    def __init__(self, *, image: Text, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image = image


class Veo3FirstLastFrameOperator(GeneratingOperator):
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
    template_fields: Sequence[str] = ("first_frame", "last_frame", *GeneratingOperator.template_fields)

    def __init__(self, *, first_frame: Text, last_frame: Text, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first_frame = first_frame
        self.last_frame = last_frame
