"""Parameters of a generation request, checked as the vendor's pages describe them."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.service.catalog import (
    DEFAULT_MODEL,
    FIRST_LAST_FRAME,
    IMAGE_TO_VIDEO,
    Model,
    find_model,
)
from airflow_provider_veo3.emulator.service.errors import ApiError, validation_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_veo3.emulator.config.settings import Settings

PROMPT_LIMIT = 1000
NEGATIVE_PROMPT_LIMIT = 500
SEED_LIMIT = 2**32 - 1
PROHIBITED = "prohibited content"
_INTEGER = re.compile(r"-?\d{1,20}")

KNOWN_FIELDS = frozenset(
    {
        "prompt",
        "model",
        "sampleCount",
        "durationSeconds",
        "aspectRatio",
        "generateAudio",
        "enhancePrompt",
        "negativePrompt",
        "seed",
        "personGeneration",
    }
)


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Checked parameters, with the vendor's defaults filled in."""

    prompt: str
    model: Model
    sample_count: int
    duration: int
    aspect_ratio: str
    audio: bool
    enhance_prompt: bool
    negative_prompt: str | None
    seed: int | None
    person_generation: str

    @property
    def cost(self) -> int:
        """Credits of all samples, regardless of the duration."""
        return (self.model.credits if self.audio else self.model.credits_silent) * self.sample_count

    @property
    def violates_policy(self) -> bool:
        """Return whether the prompt has prohibited content."""
        return PROHIBITED in self.prompt.casefold()


def read_parameters(fields: Mapping[str, Any], kind: str, settings: Settings, *, form: bool) -> Parameters:
    """Check every field, and raise the error of the first refused field.

    :param kind: type of the generation.
    :param form: whether the fields are text fields of a form, so that numbers and booleans are text.
    """
    reader = _Reader(fields, as_text=form)
    prompt = _prompt(fields)
    model = _model(fields, kind, settings)
    if settings.unknown_fields == "refuse":
        for name in fields:
            if name not in KNOWN_FIELDS:
                raise validation_error(name, fields[name], f"{name} is not a known parameter")
    durations = range(5, 9) if settings.durations == "5-8" else map(int, settings.durations.split(","))
    parameters = Parameters(
        prompt=prompt,
        model=model,
        sample_count=reader.integer("sampleCount", 1, (1, 2)),
        duration=reader.integer("durationSeconds", 8, tuple(durations)),
        aspect_ratio=reader.choice("aspectRatio", "16:9", settings.aspect_ratios),
        audio=reader.boolean("generateAudio"),
        enhance_prompt=reader.boolean("enhancePrompt"),
        negative_prompt=reader.negative_prompt(),
        seed=reader.seed(),
        person_generation=reader.choice("personGeneration", "allow_adult", ("allow_adult", "dont_allow")),
    )
    if settings.policy_when == "request" and parameters.violates_policy:
        raise ApiError(
            settings.policy_status,
            "CONTENT_POLICY_VIOLATION",
            "Content violates usage policies",
            details="Prompt contains prohibited content",
        )
    return parameters


def _prompt(fields: Mapping[str, Any]) -> str:
    prompt = fields.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ApiError(400, "INVALID_PROMPT", "Prompt is required and must be a non-empty string")
    if len(prompt) > PROMPT_LIMIT:
        message = f"Prompt must not exceed {PROMPT_LIMIT} characters, it has {len(prompt)}"
        raise ApiError(400, "INVALID_PROMPT", message)
    return prompt


def _model(fields: Mapping[str, Any], kind: str, settings: Settings) -> Model:
    model_id = fields.get("model", DEFAULT_MODEL.id)
    model = find_model(model_id) if isinstance(model_id, str) else None
    if model is None:
        raise ApiError(400, "INVALID_MODEL", "Unknown model", details=f"model: {str(model_id)[:80]}")
    refused = (kind == FIRST_LAST_FRAME and not model.first_last_frame) or (
        kind == IMAGE_TO_VIDEO and model.fast and settings.fast_refuses_images
    )
    if refused:
        raise ApiError(400, "INVALID_MODEL", f"{model.name} does not support {kind}")
    return model


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Reader of single fields.

    :param as_text: whether numbers and booleans may be text.
    """

    fields: Mapping[str, Any]
    as_text: bool

    def integer(self, name: str, default: int, allowed: tuple[int, ...]) -> int:
        choices = ", ".join(map(str, allowed))
        return self._integer(name, default, lambda value: value in allowed, f"one of {choices}")

    def seed(self) -> int | None:
        if self.fields.get("seed") is None:
            return None
        return self._integer("seed", 0, lambda value: 0 <= value <= SEED_LIMIT, f"between 0 and {SEED_LIMIT}")

    def _integer(self, name: str, default: int, allowed: Callable[[int], bool], rule: str) -> int:
        raw = value = self.fields.get(name, default)
        if self.as_text and isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        # JSON has one kind of number: 8 and 8.0 are equal.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not allowed(value):
            raise validation_error(name, raw, f"{name} must be an integer, {rule}")
        return value

    def boolean(self, name: str) -> bool:
        value = self.fields.get(name, True)
        if self.as_text and value in ("true", "false"):
            return bool(value == "true")
        if not isinstance(value, bool):
            raise validation_error(name, value, f"{name} must be true or false")
        return value

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.fields.get(name, default)
        if not isinstance(value, str) or value not in allowed:
            raise validation_error(name, value, f"{name} must be one of {', '.join(allowed)}")
        return value

    def negative_prompt(self) -> str | None:
        value = self.fields.get("negativePrompt")
        if value is None:
            return None
        if not isinstance(value, str):
            raise validation_error("negativePrompt", value, "negativePrompt must be a string")
        if len(value) > NEGATIVE_PROMPT_LIMIT:
            message = f"negativePrompt must not exceed {NEGATIVE_PROMPT_LIMIT} characters"
            raise validation_error("negativePrompt", value, message)
        return value
