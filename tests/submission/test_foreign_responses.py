"""Responses of gateways, refusals inside a success, proxies and odd ids, through Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import needs_task_state
from tests.support.raw_server import closed_port
from tests.support.runs import TASK, accepted, clear, paid_once, start, submissions, succeed
from tests.support.samples import flat, nested

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator

PAGE = "<html><h1>Access denied</h1></html>"
PAGES: list[tuple[int, Any]] = [
    (401, PAGE),
    (403, PAGE),
    (404, {"message": "no Route matched with those values"}),
    (407, PAGE),
    (409, {"error": {"code": 409, "message": "conflict"}}),
    (421, PAGE),
    (425, PAGE),
    (451, PAGE),
    (429, PAGE),
    (403, flat("FORBIDDEN")),
]


@needs_task_state
@pytest.mark.parametrize(("status", "body"), PAGES, ids=str)
def test_a_generation_that_was_accepted_behind_a_gateway_s_page_is_adopted(
    status: int, body: Any, emulator: Emulator
) -> None:
    emulator.inject({"kind": "accept_then_status", "status": status, "body": body})
    paid_once(emulator, succeed(start().attempt(TASK)))
    assert submissions(emulator) == 1


@needs_task_state
@pytest.mark.parametrize(("status", "body"), PAGES[:3], ids=str)
def test_a_gateway_s_page_before_the_acceptance_is_overcome(
    status: int, body: Any, emulator: Emulator
) -> None:
    emulator.inject(
        {"kind": "status", "status": status, "endpoint": "text-to-video", "times": 1, "body": body}
    )
    paid_once(emulator, succeed(start().attempt(TASK)))
    assert submissions(emulator) == 2


@needs_task_state
def test_a_gateway_s_page_that_stays_is_retried_by_airflow_and_names_no_key(emulator: Emulator) -> None:
    emulator.inject(
        {"kind": "status", "status": 403, "endpoint": "text-to-video", "times": None, "body": PAGE}
    )
    run = start(retries=2)
    ended = run.attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3UnreadableAnswerError", "up_for_retry")
    assert "does not seem to come from the API" in str(ended.error)
    assert "Check the API key" not in str(ended.error)
    emulator.clear_faults()
    clear(run)
    paid_once(emulator, succeed(run.attempt(TASK)))


@pytest.mark.parametrize("envelope", [flat, nested])
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("CONTENT_POLICY_VIOLATION", "Veo3ContentPolicyError"),
        ("INVALID_API_KEY", "Veo3AuthenticationError"),
        ("INSUFFICIENT_CREDITS", "Veo3InsufficientCreditsError"),
    ],
)
def test_a_refusal_inside_a_success_is_final_and_has_the_vendor_s_words(
    code: str, error: str, envelope: Any, emulator: Emulator
) -> None:
    body = envelope(code, "the vendor's own words")
    emulator.inject(
        {"kind": "status", "status": 200, "endpoint": "text-to-video", "times": None, "body": body}
    )
    ended = start(retries=3).attempt(TASK)
    assert (ended.error_name, ended.state) == (error, "failed")
    assert "the vendor's own words" in str(ended.error)
    assert "No credits were spent" in str(ended.error)
    assert submissions(emulator) == 1


@pytest.mark.parametrize("text", ["None", "null", "", "nan"])
def test_a_prompt_that_renders_to_nothing_is_not_paid_for(text: str, emulator: Emulator) -> None:
    ended = start(prompt="{{ params.get('absent', '" + text + "') }}", retries=3).attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3ValidationError", "failed")
    assert "a template that finds nothing renders so" in str(ended.error)
    assert emulator.ledger()["totals"]["requests"] == 0


@needs_task_state
def test_a_proxy_that_is_down_costs_no_search_and_is_retried(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    with closed_port() as (url, _):
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("VEO3_API_KEY", "veo3_abcdefghijklmnop")
        monkeypatch.delenv("AIRFLOW_CONN_VEO3_DEFAULT", raising=False)
        monkeypatch.setenv("VEO3_BASE_URL", "https://api.veo3.example")
        ended = start(retries=3).attempt(TASK)
    assert (ended.error_name, ended.state) == ("Veo3NoAnswerError", "up_for_retry")
    assert "The request was never sent; no credits were spent." in str(ended.error)
    assert accepted(emulator) == []


@needs_task_state
def test_a_netrc_file_changes_nothing(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login somebody password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    paid_once(emulator, succeed(start().attempt(TASK)))


@needs_task_state
@pytest.mark.parametrize("odd", ["a/b?c#d%e+f:g~h", "..", "-rf 龍", 4711, "x" * 500])
def test_a_generation_with_an_odd_id_is_paid_for_once_and_usable(odd: Any, emulator: Emulator) -> None:
    body = {"success": True, "taskId": odd, "status": "pending", "creditsUsed": 190}
    emulator.inject({"kind": "accept_then_status", "status": 202, "body": body})
    ended = start().attempt(TASK)
    assert (ended.error, ended.state) == (None, "success")
    assert (ended.manifest["id"], str(ended.value)) == (str(odd), str(odd))  # JSON may make a number of it
    assert submissions(emulator) == 1
