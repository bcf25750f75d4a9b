from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_veo3.api.request import (
    MAX_IMAGE_BYTES,
    GenerationRequest,
    Image,
    check_generation_id,
)
from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.parameters import OPTIONS

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"j" * 20


def request(**options: Any) -> GenerationRequest:
    return GenerationRequest("text-to-video", **{"prompt": "a dragon", **options})


ACCEPTED = [
    ("prompt", "x", "x"),
    ("prompt", "龍" * 1000, "龍" * 1000),
    ("prompt", "  kept as it is\n", "  kept as it is\n"),
    ("model", "a-model-of-tomorrow", "a-model-of-tomorrow"),
    *(("sample_count", given, 1 + (str(given).strip() == "2")) for given in (1, 2, "1", "2", " 2 ")),
    *(("duration_seconds", given, int(given)) for given in (4, 5, 6, 7, 8, "4", "8", "08")),
    ("aspect_ratio", "16:9", "16:9"),
    ("aspect_ratio", "9:16", "9:16"),
    *(("generate_audio", given, True) for given in (True, "true", "True", "TRUE", " true ")),
    *(("enhance_prompt", given, False) for given in (False, "false", "False", "FALSE ")),
    ("negative_prompt", None, None),
    ("negative_prompt", "", None),
    ("negative_prompt", "n" * 500, "n" * 500),
    *(("seed", given, int(given)) for given in (0, 2**32 - 1, "0", "4294967295")),
    ("seed", None, None),
    ("seed", "", None),
    ("person_generation", "allow_adult", "allow_adult"),
    ("person_generation", "dont_allow", "dont_allow"),
    ("extra_options", {"resolution": "1080p"}, {"resolution": "1080p"}),
]

NOTHING = ["None", " none ", "null", "NULL", "undefined", "nan", "NaN", "<NA>", "NaT"]
"""Texts to which a template renders that finds nothing."""

REFUSED = [
    *(("prompt", given) for given in ("", " \n\t", "x" * 1001, None, 5, b"bytes", ["x"], "lone \ud800")),
    *((option, given) for option in ("prompt", "model", "negative_prompt") for given in NOTHING),
    *(("model", given) for given in ("m" * 201, 3.1)),
    *(
        ("sample_count", given)
        for given in (0, 3, -1, "0", "3", "one", "None", True, 1.5, "1.5", "²", "1" * 13)
    ),
    *(("duration_seconds", given) for given in (3, 9, 0, "3", "9", "nan", 8.5, "8s", "\uff18", False)),
    *(("aspect_ratio", given) for given in ("1:1", "16x9", "null", " 16:9", ["16:9"], 1.78)),
    *(("generate_audio", given) for given in ("yes", "no", 1, 0, "1", "None")),
    *(("enhance_prompt", given) for given in ("on", 1, "nan", [])),
    *(("negative_prompt", given) for given in ("n" * 501, 5, False, "\udfff")),
    *(("seed", given) for given in (-1, 2**32, "-1", "4294967296", 1.5, "abc", True, "None")),
    pytest.param("seed", 10**5000, id="seed-of-5000-digits"),
    *(("person_generation", given) for given in ("allow_all", "undefined", "ALLOW_ADULT")),
    *(
        ("extra_options", given)
        for given in ("None", "x", ["x"], {"": 1}, {1: 1}, {"seed": 1}, {"sampleCount": 2})
    ),
]


@pytest.mark.parametrize(("option", "given", "kept"), ACCEPTED)
def test_an_acceptable_value_is_kept_in_its_type(option: str, given: Any, kept: Any) -> None:
    value = getattr(request(**{option: given}), option)
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(("option", "given"), REFUSED)
def test_any_other_value_is_refused_with_field_value_and_allowed_values(option: str, given: Any) -> None:
    with pytest.raises(Veo3ValidationError) as caught:
        request(**{option: given})
    error = caught.value
    assert error.field == option
    assert error.allowed
    assert str(error).startswith(f"{option}={error.value} is not acceptable; allowed: {error.allowed}")
    assert "Nothing was submitted or spent" in str(error)
    assert len(error.value) < 120


def test_the_options_are_the_fields_of_a_request_in_their_order() -> None:
    fields = [field.name for field in dataclasses.fields(GenerationRequest)]
    assert [name for name in fields if name not in ("type", "images")] == list(OPTIONS)


DEFAULTS = {
    "model": "veo-3.1-fast-generate-001",
    "sample_count": 1,
    "duration_seconds": 8,
    "aspect_ratio": "16:9",
    "generate_audio": True,
    "enhance_prompt": True,
    "negative_prompt": None,
    "seed": None,
    "person_generation": "allow_adult",
    "extra_options": {},
}


@pytest.mark.parametrize("given", [None, "", "  ", float("nan")], ids=repr)
@pytest.mark.parametrize("option", DEFAULTS)
def test_an_empty_cell_means_the_default_of_every_option_that_has_one(option: str, given: Any) -> None:
    kept = request(**{option: given})
    assert getattr(kept, option) == DEFAULTS[option]
    assert kept.wire_options() == request().wire_options()


@pytest.mark.parametrize("option", ["prompt", "model", "negative_prompt"])
@pytest.mark.parametrize("given", NOTHING)
def test_a_template_that_found_nothing_is_named_and_a_default_is_shown(option: str, given: str) -> None:
    with pytest.raises(Veo3ValidationError, match="a template that finds nothing renders so") as caught:
        request(**{option: given})
    assert f"{{{{ params.{option} or '...' }}}}" in str(caught.value)


@pytest.mark.parametrize("given", ["A none of that", "Nothing", "null island", "Nan bread on a table", "N"])
def test_a_word_of_a_prompt_may_be_none(given: str) -> None:
    assert request(prompt=given).prompt == given


def test_a_long_prompt_shows_each_number_once() -> None:
    with pytest.raises(Veo3ValidationError) as caught:
        request(prompt="x" * 1200)
    message = str(caught.value)
    assert [message.count(each) for each in ("1200", "1000", "1202")] == [1, 1, 0]
    assert ".." not in message.replace("... (1200", "")


def nest(depth: int) -> list[Any]:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        object(),
        b"x",
        float("nan"),
        float("inf"),
        "\ud800",
        nest(100_000),
        pytest.param(10**5000, id="5000 digits"),
        {"a": {1}},
    ],
)
def test_an_extra_option_that_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match=r"extra_options\['new'\]=.*allowed: a JSON value"):
        request(extra_options={"new": value})


@pytest.mark.parametrize("kind", ["video-to-video", None, [], "TEXT-TO-VIDEO"])
def test_an_unknown_type_is_refused(kind: Any) -> None:
    with pytest.raises(
        Veo3ValidationError, match="allowed: text-to-video or image-to-video or first-last-frame"
    ):
        GenerationRequest(kind, "x")


IMAGE, FIRST, LAST = Image("image", PNG), Image("first_frame", JPEG), Image("last_frame", PNG)


@pytest.mark.parametrize(
    ("kind", "images"),
    [
        ("text-to-video", (IMAGE,)),
        ("text-to-video", None),
        ("image-to-video", ()),
        ("image-to-video", (IMAGE, IMAGE)),
        ("image-to-video", IMAGE),
        ("image-to-video", (PNG,)),
        ("image-to-video", (None,)),
        ("first-last-frame", (FIRST,)),
        ("first-last-frame", (LAST, FIRST)),
    ],
)
def test_images_must_match_the_endpoint(kind: Any, images: Any) -> None:
    if images is IMAGE:
        assert GenerationRequest(kind, "x", images=(images,)).images == (IMAGE,)
        images = (IMAGE, FIRST)
    with pytest.raises(Veo3ValidationError) as caught:
        GenerationRequest(kind, "x", images=images)
    assert caught.value.field == "images"
    assert kind in caught.value.allowed


@pytest.mark.parametrize(
    ("data", "mime", "name"), [(PNG, "image/png", "image.png"), (JPEG, "image/jpeg", "image.jpg")]
)
def test_the_type_of_an_image_is_read_from_its_content(data: bytes, mime: str, name: str) -> None:
    image = Image("image", data, "/secret/place/cat.gif")
    assert (image.mime_type, image.file_name) == (mime, name)


def test_an_image_may_have_20_mib_and_not_a_byte_more() -> None:
    whole = PNG + bytes(MAX_IMAGE_BYTES - len(PNG))
    assert len(Image("image", whole).data) == 20 * 1024 * 1024
    with pytest.raises(Veo3ValidationError, match=r"1 to 20971520 bytes \(this one has 20971521\)"):
        Image("image", whole + b"x", "cat.png")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a....",
        b"RIFF....WEBP",
        b"\x89PN",
        b"\xff\xd8",
        b"<svg/>",
        None,
        "cat.png",
        5,
        bytearray(PNG),
    ],
)
def test_a_file_that_is_not_jpeg_or_png_is_refused(data: Any) -> None:
    with pytest.raises(Veo3ValidationError) as caught:
        Image("first_frame", data, "cat.png")
    assert caught.value.field == "first_frame"
    assert "JPEG or PNG" in caught.value.allowed


ORDINARY = ["veo_1703123456789_abc123def", "a", "A-1_b", "a.b~c", "9" * 128]
ODD = [
    "../status",
    ".a",
    "..",
    ".",
    "~a",
    "a:b",
    "a/b",
    "a?b",
    "a b",
    " a",
    "-a",
    "_a",
    "%2e%2e",
    "a+b%2Fc",
    "a" * 512,
    "ä",
    "龍",
    "a#",
    "none_1",
]


@pytest.mark.parametrize("value", [*ORDINARY, *ODD])
def test_an_opaque_id_is_accepted(value: str) -> None:
    assert check_generation_id(value) == value


def test_a_whole_number_is_an_id() -> None:
    assert [check_generation_id(value) for value in (0, 5, 17 * 10**18)] == ["0", "5", "17000000000000000000"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        None,
        "None",
        "nan",
        5.5,
        5.0,
        -1,
        True,
        "a\n",
        "a" * 513,
        "a\x00",
        "a\u2028b",
        "\ud800",
        ["a"],
        b"a",
    ],
)
def test_what_cannot_be_an_id_is_refused(value: Any) -> None:
    with pytest.raises(Veo3ValidationError) as caught:
        check_generation_id(value)
    assert caught.value.field == "generation_id"


@pytest.mark.parametrize("value", ["None", None, "", "undefined", float("nan")])
def test_a_template_that_rendered_to_nothing_is_recognised(value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match=r"^generation_id=.* its task has returned nothing"):
        check_generation_id(value)


@pytest.mark.parametrize("value", [{"scene": "a boat"}, ["a boat"], 123])
def test_a_prompt_that_native_rendering_has_made_another_type_names_the_setting(value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match="render_template_as_native_obj=True turns"):
        GenerationRequest("text-to-video", value)
