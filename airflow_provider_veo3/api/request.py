"""The request for a generation, checked before anything is sent or spent."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, Literal

from airflow_provider_veo3.exceptions import Veo3ValidationError, shown
from airflow_provider_veo3.parameters import (
    check_choice,
    check_rendered,
    is_left_out,
    is_nothing,
    read_choice,
    read_flag,
    read_integer,
    unwrapped,
)

GenerationType = Literal["text-to-video", "image-to-video", "first-last-frame"]

DEFAULT_MODEL: Final = "veo-3.1-fast-generate-001"
"""Model that is sent by default.

The vendor's pages disagree on theirs, and one of them costs 2.6 times as much.
"""

MAX_PROMPT_LENGTH: Final = 1000
MAX_NEGATIVE_PROMPT_LENGTH: Final = 500
MAX_IMAGE_BYTES: Final = 20 * 1024 * 1024
"""Size of the largest image.

The vendor documents 20 MB: read as MiB, the API decides on the rest.
"""

ASPECT_RATIOS: Final = ("16:9", "9:16")
PERSON_GENERATIONS: Final = ("allow_adult", "dont_allow")
SAMPLE_COUNTS: Final = range(1, 3)
DURATIONS: Final = range(4, 9)
"""Lengths in seconds.

The vendor documents 5 to 8, the models behind it 4, 6 and 8.
"""
SEEDS: Final = range(2**32)

SHORTEST_SECRET: Final = 12
"""Characters from which no other text contains a key by chance."""

LONGEST_ID: Final = 512
"""Characters of the longest generation id."""

_SIGNATURES: Final = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
_EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png"}


def check_generation_id(value: object, field: str = "generation_id") -> str:
    """Return a generation id: printable text or a whole number, of at most ``LONGEST_ID`` characters.

    The vendor shows one sample and promises no shape.

    :raises Veo3ValidationError: the value cannot be one.
    """
    allowed = (
        "the id a generating task returned, such as 'veo_1703123456789_abc123def': printable text of at most "
        f"{LONGEST_ID} characters"
    )
    plain = unwrapped(value)
    if isinstance(plain, int) and not isinstance(plain, bool) and 0 <= plain < 10**LONGEST_ID:
        return str(plain)
    if is_nothing(plain):
        allowed = f"{allowed}; a template renders to nothing where its task has returned nothing"
    elif isinstance(plain, str) and plain.isprintable() and len(plain) <= LONGEST_ID:
        return str(plain)
    raise Veo3ValidationError.of(field, value, allowed)


@dataclass(frozen=True)
class Image:
    """A JPEG or PNG file, its MIME type read from its content.

    :param field: its parameter, for errors and as its role (``image``, ``first_frame`` ...).
    :param data: the file, 1 byte to 20 MiB.
    :param source: path it was read from, for errors.
    :raises Veo3ValidationError: empty, too large, or neither JPEG nor PNG.
    """

    field: str
    data: bytes = dataclasses.field(repr=False)
    source: str = ""
    mime_type: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Check size and type."""
        if not isinstance(self.data, bytes):
            raise Veo3ValidationError.of(self.field, self.data, "the bytes of a JPEG or PNG file")
        if not 0 < len(self.data) <= MAX_IMAGE_BYTES:
            allowed = f"a JPEG or PNG file of 1 to {MAX_IMAGE_BYTES} bytes (this one has {len(self.data)})"
            raise Veo3ValidationError.of(self.field, self.source, allowed)
        for signature, mime_type in _SIGNATURES.items():
            if self.data.startswith(signature):
                object.__setattr__(self, "mime_type", mime_type)
                return
        start = self.data[:8].hex(" ")
        raise Veo3ValidationError.of(
            self.field, self.source, f"a JPEG or PNG file (this one starts with {start})"
        )

    @property
    def file_name(self) -> str:
        """Return a name for the upload, without the path of the file."""
        return f"{self.field}.{_EXTENSIONS[self.mime_type]}"


IMAGE_ROLES: Final[dict[GenerationType, tuple[str, ...]]] = {
    "text-to-video": (),
    "image-to-video": ("image",),
    "first-last-frame": ("first_frame", "last_frame"),
}


@dataclass(frozen=True)
class GenerationRequest:
    """The request for a generation, complete and within every published limit.

    Numbers and booleans may come as text (``"8"``, ``"true"``), as templates and CSV files give them. An
    option that is empty or ``None``, as an empty cell of such a file, has its default; ``prompt`` has none. A
    text such as ``None`` or ``nan``, to which a template renders that finds nothing, is refused everywhere.

    :param type: endpoint: ``text-to-video``, ``image-to-video`` or ``first-last-frame``.
    :param prompt: content of the video; 1 to 1000 characters.
    :param model: model id, see :meth:`Veo3Hook.list_models`; unknown ids are left to the API.
    :param sample_count: number of videos, 1 or 2; each is charged.
    :param duration_seconds: length in seconds, 4 to 8, of which 6 and 8 are safe: the vendor documents 5 to
        8, the models behind it 4, 6 and 8. Each length is charged as 8.
    :param aspect_ratio: ``16:9`` or ``9:16``.
    :param generate_audio: whether the video has sound; changes the price.
    :param enhance_prompt: whether the API may rewrite the prompt.
    :param negative_prompt: content to avoid; at most 500 characters.
    :param seed: 0 to 4294967295; ``None`` lets the API choose.
    :param person_generation: ``allow_adult`` or ``dont_allow``.
    :param images: for ``image-to-video`` one :class:`Image`, the ``image``; for ``first-last-frame`` two, the
        ``first_frame`` and the ``last_frame``.
    :param extra_options: further options by their API names, JSON values sent as they are; may not
        repeat one above.
    :raises Veo3ValidationError: an option is not acceptable.
    """

    type: GenerationType
    prompt: str
    _: KW_ONLY
    model: str = DEFAULT_MODEL
    sample_count: int = 1
    duration_seconds: int = 8
    aspect_ratio: str = "16:9"
    generate_audio: bool = True
    enhance_prompt: bool = True
    negative_prompt: str | None = None
    seed: int | None = None
    person_generation: str = "allow_adult"
    images: tuple[Image, ...] = ()
    extra_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Convert every option to its type, or refuse it."""
        check_choice("type", self.type, tuple(IMAGE_ROLES))
        for option in dataclasses.fields(self):
            if option.name in _DEFAULTS and is_left_out(getattr(self, option.name)):
                object.__setattr__(self, option.name, _DEFAULTS[option.name])
        checked: dict[str, object] = {
            "prompt": _text("prompt", self.prompt, MAX_PROMPT_LENGTH),
            "model": _text("model", self.model, 200),
            "sample_count": read_integer("sample_count", self.sample_count, SAMPLE_COUNTS),
            "aspect_ratio": read_choice("aspect_ratio", self.aspect_ratio, ASPECT_RATIOS),
            "person_generation": read_choice("person_generation", self.person_generation, PERSON_GENERATIONS),
            "duration_seconds": read_integer("duration_seconds", self.duration_seconds, DURATIONS),
            "generate_audio": read_flag("generate_audio", self.generate_audio),
            "enhance_prompt": read_flag("enhance_prompt", self.enhance_prompt),
            "negative_prompt": None
            if self.negative_prompt is None
            else _text("negative_prompt", self.negative_prompt, MAX_NEGATIVE_PROMPT_LENGTH),
            "seed": None if self.seed is None else read_integer("seed", self.seed, SEEDS),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        _check_extra_options(self.extra_options)
        roles = IMAGE_ROLES[self.type]
        given = self.images if isinstance(self.images, tuple) else (self.images,)
        if tuple(image.field if isinstance(image, Image) else None for image in given) != roles:
            raise Veo3ValidationError.of("images", self.images, f"for {self.type}: {roles or 'none'}")

    def wire_options(self) -> dict[str, Any]:
        """Return the options by the API's names, without those that are ``None``."""
        options = {
            wire: value for name, wire in WIRE_NAMES.items() if (value := getattr(self, name)) is not None
        }
        extra = {name: value for name, value in self.extra_options.items() if value is not None}
        return {**options, **extra}


_DEFAULTS: Final[dict[str, Any]] = {
    option.name: {} if option.name == "extra_options" else option.default
    for option in dataclasses.fields(GenerationRequest)
    if option.kw_only and option.name != "images"
}
"""Default of each option that has one."""

WIRE_NAMES: Final = {
    "prompt": "prompt",
    "model": "model",
    "sample_count": "sampleCount",
    "duration_seconds": "durationSeconds",
    "aspect_ratio": "aspectRatio",
    "generate_audio": "generateAudio",
    "enhance_prompt": "enhancePrompt",
    "negative_prompt": "negativePrompt",
    "seed": "seed",
    "person_generation": "personGeneration",
}
"""The API's name of each option, by ours."""


def _text(field: str, value: object, longest: int) -> str:
    allowed = f"text of 1 to {longest} characters"
    value = unwrapped(value)
    check_rendered(field, value, allowed)
    if not isinstance(value, str):
        raise Veo3ValidationError.of(
            field,
            value,
            f"{allowed}; render_template_as_native_obj=True turns text that reads as Python into other types",
        )
    if len(value) > longest:
        raise Veo3ValidationError.of(field, value, allowed)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise Veo3ValidationError.of(field, value, f"{allowed}, without lone surrogates")
    return str(value)


def _check_extra_options(options: object) -> None:
    field = "extra_options"
    if not isinstance(options, Mapping) or not all(isinstance(name, str) and name for name in options):
        raise Veo3ValidationError.of(field, options, "a mapping from the API's option names to values")
    taken = sorted(set(options) & {*WIRE_NAMES, *WIRE_NAMES.values()})
    if taken:
        raise Veo3ValidationError.of(
            field, taken[0], f"options that have no parameter of their own ({shown(taken)})"
        )
    for name, value in options.items():
        try:
            # as the wire will have it: a lone surrogate has no bytes
            json.dumps({name: value}, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise Veo3ValidationError.of(f"{field}[{shown(name)}]", value, "a JSON value") from error


def check_holds_no_key(options: Mapping[str, object], api_key: str) -> None:
    """Refuse options that contain the API key.

    The vendor keeps and lists options, and errors show them. A template in a text from elsewhere can render
    to the key: Airflow renders the values of a mapped task too.

    :param options: by name, before any other check.
    :raises Veo3ValidationError: an option contains the key; the error does not show it.
    """
    for name, value in options.items():
        if len(api_key) >= SHORTEST_SECRET and api_key in _as_json(value):
            raise Veo3ValidationError.of(
                name, "***", "text without the connection's API key; check for a template that renders to it"
            )


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)
    except (ValueError, RecursionError):  # a value that contains itself, which is refused later
        return ""
