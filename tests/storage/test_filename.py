"""Names of stored files, made from templates."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.storage.filename import file_safe, name_file


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


@pytest.mark.parametrize(
    "template",
    ["None/{generation_id}.mp4", "null/x.mp4", "None.mp4", "nan.mp4", "a/NaN/{generation_id}", "", "a//b"],
)
def test_a_part_that_a_template_rendered_to_nothing_is_refused(template: str) -> None:
    with pytest.raises(Veo3ValidationError, match=r"^filename=.*a template that finds nothing renders so"):
        name_file(template, "veo_1", 0)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("manual__2026-01-02T03:04:05+00:00_{generation_id}.mp4", r"a ':'.*ts_nodash.*replace\(':', '-'\)"),
        ("~/{generation_id}.mp4", "'~' is not expanded"),
        ("$HOME/{generation_id}.mp4", "variable of the shell"),
        ("a./{generation_id}.mp4", "ends with a dot"),
        ("%2e%2e/{generation_id}.mp4", "leads to another folder"),
    ],
)
def test_a_character_that_is_not_taken_is_named_with_what_to_write(template: str, reason: str) -> None:
    with pytest.raises(Veo3ValidationError, match=rf"^filename=.*{reason}"):
        name_file(template, "veo_1", 0)


@pytest.mark.parametrize(
    "template", [PurePosixPath("clips/{generation_id}.mp4"), Path("clips/{generation_id}.mp4")]
)
def test_a_path_object_is_taken(template: object) -> None:
    assert name_file(template, "veo_1", 0) == "clips/veo_1.mp4"


@pytest.mark.parametrize(
    "generation_id",
    ["veo_1703123456789_abc123def", "a", "A.b~c-d_e", "3f0c2a4e-0d5b-4c3e-9d3a-2b1c0d9e8f7a", "7", "x" * 128],
)
def test_an_ordinary_id_is_a_name_as_it_is(generation_id: str) -> None:
    assert file_safe(generation_id) == generation_id


ODD = [
    "a/b",
    "a%b",
    "a+b",
    "a:b",
    "~a",
    "a b",
    "ä",
    "-a",
    "x" * 300,
    "../a",
    ".",
    "..",
    ".a",
    "a.",
    "a\\b",
    "None?",
    "日本",
]


def test_odd_ids_give_safe_names_that_never_meet() -> None:
    names = [name_file("{generation_id}_{index}.mp4", each, 0) for each in [*ODD, "a_b", "id", "a"]]
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", name)
        assert name_file("{generation_id}/{index}.mp4", "../a", 0).count("/") == 1


@given(st.lists(st.text(min_size=1, max_size=300), unique=True, max_size=5))
def test_two_ids_never_have_one_name(ids: list[str]) -> None:
    safe = [file_safe(each) for each in ids]
    assert len({*safe, *(file_safe(each) for each in safe)}) == len({*ids, *safe})
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", each) for each in safe)
