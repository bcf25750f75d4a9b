"""The hook: connection test, prices, pages of the history, forms of older Airflow."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3.airflow_names import AirflowNotFoundException
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.models import Status
from airflow_provider_veo3.api.retries import ONCE
from airflow_provider_veo3.api.transport import Endpoint
from airflow_provider_veo3.exceptions import (
    Veo3AuthenticationError,
    Veo3ConnectionConfigError,
    Veo3ValidationError,
)
from airflow_provider_veo3.hooks.connection import settings_from_environment
from airflow_provider_veo3.hooks.connection_form import CONNECTION_TYPE
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
from tests.support import samples
from tests.support.airflow_versions import AIRFLOW
from tests.support.raw_server import HANG_UP, RawServer, closed_port, reply, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "veo3_thesecretkey"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    """An API that the default connection leads to."""
    monkeypatch.setenv("NO_PROXY", "*")
    with running_server() as server:
        fields = {"conn_type": "veo3", "password": KEY, "host": server.url}
        monkeypatch.setenv("AIRFLOW_CONN_VEO3_DEFAULT", json.dumps(fields))
        yield server


def test_the_connection_test_sends_one_request_that_costs_nothing(server: RawServer) -> None:
    server.script = [reply(200, samples.MODELS)]
    assert Veo3Hook().test_connection() == (True, f"Connected to {server.url}, which offers 5 models.")
    assert [(got.method, got.target) for got in server.received] == [("GET", "/api/veo/models")]


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (reply(401, samples.flat("INVALID_API_KEY")), "401 INVALID_API_KEY"),
        (reply(503, b"<html>"), "returned 503"),
        (reply(429, samples.RATE_LIMIT), "429 RATE_LIMIT_EXCEEDED"),
        (reply(200, b"<html>a portal</html>"), "not a JSON object"),
        (reply(200, {"models": []}), "lists no model"),
        (reply(302, b"", {"Location": "http://elsewhere.example"}), "returned 302"),
        (HANG_UP, "no response"),
    ],
)
def test_the_connection_test_reports_an_error_without_a_retry(
    server: RawServer, action: Any, said: str
) -> None:
    server.script = [action]
    good, message = Veo3Hook().test_connection()
    assert good is False
    assert said in message
    assert KEY not in message
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"host": "closed port", "password": KEY}, "never sent"),
        ({"host": "http://api.example.com", "password": KEY}, "plain http only to this machine"),
        ({}, "password is empty"),
    ],
)
def test_the_connection_test_reports_an_unusable_connection(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], said: str
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with closed_port() as (closed, _):
        if fields.get("host") == "closed port":
            fields = {**fields, "host": closed}
        monkeypatch.setenv("AIRFLOW_CONN_VEO3_DEFAULT", json.dumps({"conn_type": "veo3", **fields}))
        good, message = Veo3Hook().test_connection()
    assert good is False
    assert said in message


def test_the_connection_test_reports_a_missing_connection() -> None:
    good, message = Veo3Hook("veo3_team").test_connection()
    assert good is False
    assert "'veo3_team' is not defined" in message


def test_prices_are_the_api_s(server: RawServer) -> None:
    server.script = [reply(200, samples.MODELS)]
    hook = Veo3Hook()
    fast = "veo-3.1-fast-generate-001"
    assert hook.estimate_credits(fast) == 190
    assert hook.estimate_credits("veo-3.1-lite-generate-001", sample_count=2, generate_audio=False) == 70
    as_templates_give_them: dict[str, Any] = {"sample_count": "2", "generate_audio": "false"}
    assert hook.estimate_credits("veo-3.0-generate-001", **as_templates_give_them) == 500
    assert {got.target for got in server.received} == {"/api/veo/models"}


@pytest.mark.parametrize("model", ["veo-3.1-lite-generate-001", "veo-3.1-lite-generate-preview"])
@pytest.mark.parametrize("listed", ["veo-3.1-lite-generate-001", "veo-3.1-lite-generate-preview"])
def test_a_price_is_found_under_either_spelling(server: RawServer, model: str, listed: str) -> None:
    *others, lite = samples.MODELS["models"]
    server.script = [reply(200, {"models": [*others, {**lite, "id": listed}]})]
    assert Veo3Hook().estimate_credits(model) == 65


def test_the_exact_spelling_of_a_model_goes_first(server: RawServer) -> None:
    lite = samples.MODELS["models"][-1]
    dear = {**lite, "id": "veo-3.1-lite-generate-preview", "pricing": {"creditsPerVideo": 66}}
    server.script = [reply(200, {"models": [dear, lite]})]
    assert Veo3Hook().estimate_credits("veo-3.1-lite-generate-001") == 65
    assert Veo3Hook().estimate_credits("veo-3.1-lite-generate-preview") == 66


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"model": "veo-9"}, "model"),
        ({"model": "None"}, "model"),
        ({"model": "unpriced"}, "model"),
        ({"model": "unpriced", "sample_count": 3}, "sample_count"),
        ({"model": "unpriced", "generate_audio": "maybe"}, "generate_audio"),
    ],
)
def test_a_model_without_a_price_is_refused(server: RawServer, options: dict[str, Any], field: str) -> None:
    server.script = [reply(200, {"models": [*samples.MODELS["models"], {"id": "unpriced", "pricing": None}]})]
    with pytest.raises(Veo3ValidationError) as caught:
        Veo3Hook().estimate_credits(**options)
    assert caught.value.field == field


def items(*numbers: int) -> list[dict[str, Any]]:
    return [{"taskId": f"veo_{number}", "status": "completed"} for number in numbers]


def page(*numbers: int, more: bool | None = None, total: int | None = None) -> Any:
    return reply(200, {"videos": items(*numbers), "pagination": {"hasMore": more, "total": total}})


def history(status: str | None = None) -> list[str]:
    return [generation.id.removeprefix("veo_") for generation in Veo3Hook().iter_history(status)]


def test_the_history_is_read_page_by_page_only_as_far_as_it_is_needed(server: RawServer) -> None:
    server.script = [page(1, 2, more=True), page(3, more=False), page()]
    listing = Veo3Hook().iter_history("completed")
    assert [next(listing).id, next(listing).id] == ["veo_1", "veo_2"]
    assert len(server.received) == 1
    assert [generation.status for generation in listing] == [Status.COMPLETED]
    assert [got.target for got in server.received] == [
        "/api/veo/history?limit=100&skip=0&status=completed",
        "/api/veo/history?limit=100&skip=2&status=completed",
        # pages shorter than asked prove no end
        "/api/veo/history?limit=100&skip=3&status=completed",
    ]


def test_a_generation_that_moved_to_the_next_page_comes_once(server: RawServer) -> None:
    server.script = [page(1, 2, more=True), page(2, 3, more=True), page(3, 4, more=False)]
    assert history() == ["1", "2", "3", "4"]


def test_a_history_that_repeats_its_first_page_for_ever_ends(server: RawServer) -> None:
    server.script = [page(1, 2, more=True, total=1_000_000)]
    assert history() == ["1", "2"]
    assert len(server.received) == 2


def test_a_history_that_wrongly_announces_more_ends(server: RawServer) -> None:
    server.script = [page(1, more=True), page(more=True)]
    assert history() == ["1"]
    assert len(server.received) == 2


def test_an_empty_history(server: RawServer) -> None:
    server.script = [page(total=0)]
    assert history() == []


def test_an_upload_that_is_not_bytes_is_refused_before_anything_is_sent(server: RawServer) -> None:
    server.script = [reply(202, samples.ACCEPTED)]
    path: Any = "cat.png"
    for call in (
        lambda: Veo3Hook().image_to_video("x", path),
        lambda: Veo3Hook().first_last_frame("x", path, path),
        lambda: Veo3Hook().text_to_video("x" * 1001),
        lambda: Veo3Hook().get_generation("None"),
        lambda: Veo3Hook().get_videos(""),
    ):
        with pytest.raises(Veo3ValidationError):
            call()
    assert server.connections == 0


def test_the_triggerer_reads_the_same_connection(server: RawServer) -> None:
    server.script = [reply(200, samples.COMPLETED)]

    async def request_status() -> Status:
        hook = Veo3Hook()
        transport = await hook.aget_conn()
        try:
            flow = flows.get_generation(samples.ID, hook.settings.base_url, ONCE)
            return (await transport.run(flow)).status
        finally:
            await transport.close()

    assert asyncio.run(request_status()) is Status.COMPLETED
    assert server.received[0].headers["x-api-key"] == KEY


def test_the_triggerer_uses_the_environment_too(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT")
    with pytest.raises(AirflowNotFoundException):
        asyncio.run(Veo3Hook().aget_conn())
    monkeypatch.setenv("VEO3_API_KEY", KEY)
    monkeypatch.setenv("VEO3_BASE_URL", server.url)
    hook = Veo3Hook()

    async def connect() -> None:
        await (await hook.aget_conn()).close()

    asyncio.run(connect())
    assert hook.settings.base_url == server.url


@pytest.mark.parametrize("extra", ["[1]", '"x"'])
def test_the_triggerer_refuses_extras_that_are_not_an_object(
    monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    fields = {"conn_type": "veo3", "password": KEY, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_VEO3_DEFAULT", json.dumps(fields))
    refused: tuple[type[Exception], str] = (Veo3ConnectionConfigError, "a JSON object")
    if AIRFLOW < (3, 2):  # Airflow itself logs that they are none, and has no such connection
        refused = (AirflowNotFoundException, "is not defined")
    with pytest.raises(refused[0], match=refused[1]):
        asyncio.run(Veo3Hook().aget_conn())


def test_the_environment_replaces_an_undefined_default_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VEO3_API_KEY", KEY)
    monkeypatch.setenv("VEO3_BASE_URL", "http://127.0.0.1:8000/")
    settings = Veo3Hook().settings
    assert (settings.api_key, settings.base_url) == (KEY, "http://127.0.0.1:8000")
    assert (settings.conn_id, settings.poll_interval) == ("veo3_default", 10.0)
    monkeypatch.setenv("AIRFLOW_CONN_VEO3_DEFAULT", '{"conn_type": "veo3", "password": "veo3_connection"}')
    assert Veo3Hook().settings.api_key == "veo3_connection"
    assert Veo3Hook().settings.base_url == "https://api.veo3gen.co"


def test_a_named_connection_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEO3_API_KEY", KEY)
    with pytest.raises(
        AirflowNotFoundException,
        match=r"'veo3_team' is not defined. Nothing was sent or spent. Add a connection of type 'veo3'",
    ):
        _ = Veo3Hook("veo3_team").settings


@pytest.mark.parametrize("value", [None, ""])
def test_the_error_without_a_connection_or_a_key_names_both_ways(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv("VEO3_API_KEY", value)
    with pytest.raises(
        AirflowNotFoundException, match=r"Nothing was sent or spent. .*VEO3_API_KEY serves as well"
    ):
        _ = Veo3Hook().settings


def test_a_blank_key_or_a_bad_address_in_the_environment_is_refused() -> None:
    with pytest.raises(Veo3ConnectionConfigError, match="VEO3_API_KEY: it is empty"):
        settings_from_environment({"VEO3_API_KEY": "  "})
    with pytest.raises(Veo3ConnectionConfigError, match="VEO3_BASE_URL: it is 'http"):
        settings_from_environment({"VEO3_API_KEY": KEY, "VEO3_BASE_URL": "http://api.example.com"})
    assert settings_from_environment({"VEO3_BASE_URL": "https://api.example.com"}) is None


def test_the_labels_for_older_airflows_are_the_form_s() -> None:
    behaviour = Veo3Hook.get_ui_field_behaviour()
    assert behaviour == {
        "hidden_fields": ["login"],
        "relabeling": {"password": "API key", "host": "Base URL", "schema": "Scheme"},
        "placeholders": {
            "password": "veo3_...",
            "host": "https://api.veo3gen.co",
            "schema": "https",
            "port": "443",
        },
    }
    assert (Veo3Hook.conn_type, Veo3Hook.hook_name) == ("veo3", "VEO3")


class Field:
    """What wtforms would draw a text field with."""

    def __init__(self, label: str, *, description: str, widget: object, default: object) -> None:
        self.label, self.description, self.widget, self.default = label, description, widget, default


class Widget:
    """What Flask-AppBuilder would draw it as."""


def test_the_fields_for_older_airflows_are_the_form_s(monkeypatch: pytest.MonkeyPatch) -> None:
    wtforms, builder, widgets = (
        ModuleType(n) for n in ("wtforms", "flask_appbuilder", "flask_appbuilder.fieldwidgets")
    )
    vars(wtforms)["StringField"] = Field
    vars(widgets)["BS3TextFieldWidget"] = Widget
    for module in (wtforms, builder, widgets):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    drawn = Veo3Hook.get_connection_form_widgets()
    assert {name: (field.label, field.description, field.default) for name, field in drawn.items()} == {
        name: (spec["label"], spec["description"], spec["schema"]["default"])
        for name, spec in CONNECTION_TYPE["conn-fields"].items()
    }
    assert all(isinstance(field.widget, Widget) for field in drawn.values())


def test_an_empty_model_is_the_default_one(server: RawServer) -> None:
    server.script = [reply(200, samples.MODELS)]
    default: Any = None
    for model in ("", default):
        assert Veo3Hook().estimate_credits(model) == Veo3Hook().estimate_credits("veo-3.1-fast-generate-001")


@pytest.mark.usefixtures("server")
def test_a_wrong_key_names_the_place_that_it_comes_from(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = [reply(401, samples.flat("INVALID_API_KEY"))]
    with pytest.raises(Veo3AuthenticationError, match="password of the Airflow connection 'veo3_default'"):
        Veo3Hook().get_generation(samples.ID)
    monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT")
    monkeypatch.setenv("VEO3_API_KEY", KEY)
    monkeypatch.setenv("VEO3_BASE_URL", server.url)
    with pytest.raises(Veo3AuthenticationError, match="environment variable VEO3_API_KEY"):
        Veo3Hook().get_generation(samples.ID)


def test_without_a_connection_the_test_says_so() -> None:
    passed, message = Veo3Hook("nowhere").test_connection()
    assert not passed
    assert "'nowhere' is not defined" in message


def holders(server: RawServer) -> dict[str, Any]:
    """Objects that have held a key."""
    server.script = [reply(200, samples.COMPLETED)]
    hook = Veo3Hook()
    hook.get_generation(samples.ID)
    operator = Veo3TextToVideoOperator(task_id="t", prompt="x")
    sensor = Veo3GenerationSensor(task_id="s", generation_id=samples.ID)
    for each in (operator, sensor):
        each._hook.get_conn()
    return {
        "hook": hook,
        "settings": hook.settings,
        "transport": hook.get_conn(),
        "endpoint": Endpoint(server.url, KEY),
        "operator": operator,
        "sensor": sensor,
    }


@pytest.mark.parametrize(
    "keep", [pickle.dumps, lambda value: vars(copy.deepcopy(value))], ids=["pickle", "copy"]
)
def test_nothing_can_be_pickled_or_copied_with_the_key_in_it(server: RawServer, keep: Any) -> None:
    refused = set()
    for name, value in holders(server).items():
        try:
            kept = keep(value)
        except TypeError:
            refused.add(name)
        else:
            assert KEY not in (kept.decode("latin-1") if isinstance(kept, bytes) else str(every(kept)))
    assert {"settings", "transport", "endpoint"} <= refused
    assert "hook" not in refused


def every(fields: dict[str, Any]) -> list[Any]:
    """Return the fields of an object and of its hook."""
    hook = fields.get("_hook")
    return [fields, vars(hook) if hook else {}]


def test_a_copied_hook_reads_its_connection_again(server: RawServer) -> None:
    server.script = [reply(200, samples.COMPLETED)]
    hook = Veo3Hook()
    hook.get_generation(samples.ID)
    restored = pickle.loads(pickle.dumps(hook))  # noqa: S301 - our own
    assert restored.get_generation(samples.ID).id == samples.ID
    assert [got.headers["x-api-key"] for got in server.received] == [KEY, KEY]
