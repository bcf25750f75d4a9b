"""Requests on the wire: any value makes a sendable request or is refused."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.api import protocol
from airflow_provider_veo3.api.request import IMAGE_ROLES, WIRE_NAMES, GenerationRequest, Image
from airflow_provider_veo3.exceptions import Veo3ValidationError

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"j" * 20
IMAGE, FIRST, LAST = Image("image", PNG), Image("first_frame", JPEG), Image("last_frame", PNG)


def test_text_to_video_is_sent_as_json_with_every_default_that_is_not_none() -> None:
    sent = protocol.submission(GenerationRequest("text-to-video", "a dragon"), {})
    assert (sent.method, sent.path, sent.form, sent.files) == ("POST", "/api/veo/text-to-video", None, None)
    assert sent.json == {
        "prompt": "a dragon",
        "model": "veo-3.1-fast-generate-001",
        "sampleCount": 1,
        "durationSeconds": 8,
        "aspectRatio": "16:9",
        "generateAudio": True,
        "enhancePrompt": True,
        "personGeneration": "allow_adult",
    }


def test_an_image_is_sent_with_text_fields_beside_it() -> None:
    given = GenerationRequest(
        "image-to-video",
        "a cat",
        images=(IMAGE,),
        generate_audio="false",  # type: ignore[arg-type]
        seed=0,
        negative_prompt="dogs",
        extra_options={"resolution": "1080p", "nested": {"a": [1, None]}, "left": None},
    )
    sent = protocol.submission(given, {})
    assert sent.json is None
    assert sent.form == {
        "prompt": "a cat",
        "model": "veo-3.1-fast-generate-001",
        "sampleCount": "1",
        "durationSeconds": "8",
        "aspectRatio": "16:9",
        "generateAudio": "false",
        "enhancePrompt": "true",
        "negativePrompt": "dogs",
        "seed": "0",
        "personGeneration": "allow_adult",
        "resolution": "1080p",
        "nested": '{"a": [1, null]}',
    }
    assert sent.files == (("image", protocol.File("image.png", PNG, "image/png")),)


def test_two_frames_go_into_fields_of_the_connection_s_names() -> None:
    given = GenerationRequest("first-last-frame", "x", images=(FIRST, LAST))
    sent = protocol.submission(given, {"first_frame": "firstFrame", "last_frame": "lastFrame"})
    assert [(name, file.name) for name, file in sent.files or ()] == [
        ("firstFrame", "first_frame.jpg"),
        ("lastFrame", "last_frame.png"),
    ]
    assert PNG.hex() not in repr(sent)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters())
    | st.binary()
    | st.sampled_from(["8", "2", "true", "16:9", "allow_adult", b"\x89PNG\r\n\x1a\n", PNG])
    | st.just(5000).map(lambda digits: 10**digits),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([*WIRE_NAMES, "extra_options", "images", "type"]), ANYTHING)
def test_any_value_of_any_option_makes_a_sendable_request_or_is_refused(option: str, value: Any) -> None:
    try:
        built = GenerationRequest(**{"type": "text-to-video", "prompt": "x", option: value})
    except Veo3ValidationError as error:
        assert option in error.field  # noqa: PT017 - either end is right
        str(error).encode()
        return
    wire = built.wire_options()
    assert json.loads(json.dumps(wire, allow_nan=False)) == json.loads(
        json.dumps(wire, ensure_ascii=False).encode()
    )
    assert 1 <= len(wire["prompt"]) <= 1000
    assert len(wire.get("negativePrompt", "")) <= 500
    assert wire["sampleCount"] in (1, 2)
    assert 4 <= wire["durationSeconds"] <= 8
    assert 0 <= wire.get("seed", 0) < 2**32
    assert None not in wire.values()


@given(st.dictionaries(st.text(), ANYTHING, max_size=4))
def test_extra_options_that_pass_can_be_sent_as_a_form_too(options: dict[str, Any]) -> None:
    try:
        built = GenerationRequest("image-to-video", "x", images=(IMAGE,), extra_options=options)
    except Veo3ValidationError:
        return
    form = protocol.submission(built, {}).form or {}
    assert all(
        isinstance(value, str) and value.encode() is not None and name.encode()
        for name, value in form.items()
    )


@given(st.sampled_from(["image", "first_frame"]), ANYTHING)
def test_any_data_is_an_image_or_is_refused(field: str, data: Any) -> None:
    try:
        image = Image(field, data)
    except Veo3ValidationError as error:
        assert error.field == field  # noqa: PT017 - either end is right
        return
    assert image.mime_type in ("image/png", "image/jpeg")


def test_every_type_has_its_image_roles() -> None:
    assert IMAGE_ROLES == {
        "text-to-video": (),
        "image-to-video": ("image",),
        "first-last-frame": ("first_frame", "last_frame"),
    }
