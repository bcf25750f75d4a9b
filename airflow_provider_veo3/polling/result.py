"""Result of a wait, and the trigger event that carries it to the task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3 import metrics
from airflow_provider_veo3.airflow_names import AirflowFailException
from airflow_provider_veo3.api.models import CONTENT_POLICY, Generation, Status
from airflow_provider_veo3.api.request import check_generation_id


class Ending(StrEnum):
    """End of a wait."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    ERROR = "error"


_ERRORS: Final = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, errors.Veo3Error)
    # others would be retried by a task whose wait has ended for good; a bare one is meant to be
    and (issubclass(kind, AirflowFailException) or kind is errors.Veo3Error)
}
"""Error classes of an ``ERROR``, by the name in the event."""


_REFUSED_CONTENT: Final = re.compile(
    r"(?=.*\bpolic(?:y|ies)\b)(?=.*\b(?:content|safety|usage|prohibited|violat))", re.IGNORECASE | re.DOTALL
)
"""Words of the vendor for refused content; a policy of retries or of an organization is another matter."""


@dataclass(frozen=True)
class WaitResult:
    """Result of a wait, sent from the triggerer to the task as an event.

    :param generation_id: the generation.
    :param ending: how the wait ended.
    :param message: the sentence for the task's log or error.
    :param reason: name of the error class for ``ERROR``, the vendor's code for ``FAILED``.
    :param manifest: the generation's manifest by the last response; empty when there was none.
    """

    generation_id: str
    ending: Ending
    message: str
    reason: str | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """True if the generation itself has ended, with a manifest that says how."""
        return self.ending is Ending.COMPLETED or (self.ending is Ending.FAILED and bool(self.manifest))

    def to_event(self) -> dict[str, Any]:
        """Return the event's payload: plain JSON, nothing secret."""
        return {"version": 1, **asdict(self), "ending": self.ending.value}

    @classmethod
    def from_event(cls, event: object, expected_id: str | None = None) -> WaitResult:
        """Parse an event, which is untrusted input.

        :param expected_id: the generation the task waits for, if known.
        :raises Veo3GenerationError: the event is not one of ours, or is of another generation.
        """
        payload = event if isinstance(event, Mapping) else {}
        try:
            generation_id = check_generation_id(payload.get("generation_id"))
            ending = Ending(payload.get("ending", ""))
        except ValueError:
            raise _bad_event(event) from None
        message, reason, manifest = (payload.get(name) for name in ("message", "reason", "manifest"))
        if not isinstance(message, str) or not isinstance(manifest, Mapping) or payload.get("version") != 1:
            raise _bad_event(event)
        if expected_id not in (None, generation_id) or manifest.get("id", generation_id) != generation_id:
            raise _bad_event(event)
        return cls(generation_id, ending, message, reason if isinstance(reason, str) else None, manifest)

    def manifest_or_raise(self, *, sensor: bool = False) -> dict[str, Any]:
        """Return the manifest of a completed generation, or raise the error of any other ending.

        :param sensor: raise an error that Airflow does not retry, since polling a failed or timed out
            generation again changes nothing, while a generating task can submit anew.
        """
        metrics.ended(self.ending.value, self.reason, self.manifest)  # here, once, the task receives it
        about: dict[str, Any] = {"generation_id": self.generation_id, "manifest": self.manifest}
        match self.ending:
            case Ending.COMPLETED:
                return dict(self.manifest)
            case Ending.TIMEOUT:
                timeout = errors.Veo3SensorTimeoutError if sensor else errors.Veo3GenerationTimeoutError
                raise timeout(self.message, **about)
            case Ending.FAILED:
                failed = errors.Veo3SensorFailedError if sensor else errors.Veo3GenerationFailedError
                raise (errors.Veo3GenerationRefusedError if self.reason == CONTENT_POLICY else failed)(
                    self.message, **about
                )
            case Ending.ERROR:
                raise _ERRORS.get(self.reason or "", errors.Veo3PermanentApiError)(self.message)


def _bad_event(event: object) -> errors.Veo3GenerationError:
    return errors.Veo3GenerationError(
        f"The trigger's event cannot be used: {errors.shown(event)}. The generation, if any, goes on and "
        "stays paid for; a retry of the task waits for it again."
    )


def ended(generation: Generation) -> WaitResult:
    """Return the result for a generation that is completed or failed."""
    manifest = generation.manifest()
    if generation.status is Status.COMPLETED:
        message = f"Generation {generation.id} is completed."
        return WaitResult(generation.id, Ending.COMPLETED, message, manifest=manifest)
    why = generation.error or generation.error_code or "the API gives no reason"
    # the vendor documents this code for a refused request only; a failed generation may have just a text
    refused = generation.error_code == CONTENT_POLICY or _REFUSED_CONTENT.search(why)
    advice = (
        "Change the prompt or the image: the same content would be refused again."
        if refused
        else "If the generating task is retried or cleared, it submits a new one."
    )
    message = (
        f"Generation {generation.id} failed: {errors.sentence(why)} The vendor refunds the credits of a "
        f"failed one. {advice}"
    )
    reason = CONTENT_POLICY if refused else generation.error_code
    return WaitResult(generation.id, Ending.FAILED, message, reason, manifest)
