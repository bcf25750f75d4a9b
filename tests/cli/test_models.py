"""``models``: the price list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_veo3.hooks.veo3 import Veo3Hook

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator
    from tests.cli.conftest import CommandLine


def test_the_table_has_each_model_with_its_prices(either: CommandLine, emulator: Emulator) -> None:
    ended = either("models")
    assert (ended.code, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    models = {row[0]: row[1:3] for row in ended.rows}
    assert models == {
        model.id: [str(model.credits_per_video), str(model.credits_per_video_no_audio)]
        for model in Veo3Hook().list_models()
    }
    assert models["veo-3.1-lite-generate-001"] == ["65", "35"]


def test_json_has_the_fields_of_the_hook(either: CommandLine, emulator: Emulator) -> None:
    ended = either("models", "--output", "json")
    assert (ended.code, ended.err) == (0, "")
    for shown, model in zip(ended.json, Veo3Hook().list_models(), strict=True):
        assert shown["id"] == model.id
        assert shown["credits_per_video"] == model.credits_per_video
        assert shown["capabilities"] == list(model.capabilities)


def test_one_request_is_sent_and_nothing_is_spent(veo3: CommandLine, emulator: Emulator) -> None:
    assert veo3("models").code == 0
    assert [each["endpoint"] for each in emulator.ledger()["recent_requests"]] == ["models"]


def test_columns_of_numbers_are_aligned_to_the_right(veo3: CommandLine, emulator: Emulator) -> None:
    heading, *lines = veo3("models").out.splitlines()
    end = heading.index("CREDITS") + len("CREDITS")
    assert {line[end - 2 : end].strip().isdecimal() and line[end] == " " for line in lines} == {True}
