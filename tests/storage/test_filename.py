"""Names of stored files, made from templates."""

from __future__ import annotations

import pytest

from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.storage.filename import name_file


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{generation_id}_{index}.mp4", "veo_1_3.mp4"),
        ("clips/{generation_id}/{index:02d}.mp4", "clips/veo_1/03.mp4"),
        ("2026-01-02/hero.mp4", "2026-01-02/hero.mp4"),
        ("{{{generation_id}}}.mp4", "{veo_1}.mp4"),
    ],
)
def test_a_template_names_a_file_below_the_destination(template: str, name: str) -> None:
    assert name_file(template, "veo_1", 3) == name


@pytest.mark.parametrize(
    "template",
    [
        "",
        "/etc/{generation_id}",
        "../{generation_id}",
        "a/../../{generation_id}",
        "a//{generation_id}",
        "{generation_id}/",
        ".{generation_id}",
        "a\\{generation_id}",
        "s3://other/{generation_id}",
        "a\n{generation_id}",
        "a\x00{generation_id}",
        "{generation_id",
        "{prompt}",
        "{}",
        "{generation_id.__class__}",
        "{generation_id!r}",
        "{generation_id:>99}",
        "{index:999999999}",
        "{index:{generation_id}}",
        "x" * 513,
        None,
    ],
)
def test_a_bad_template_is_refused_with_what_is_allowed(template: str) -> None:
    with pytest.raises(Veo3ValidationError, match=r"filename=.*allowed.*generation_id") as caught:
        name_file(template, "veo_1", 0)
    assert caught.value.field == "filename"
