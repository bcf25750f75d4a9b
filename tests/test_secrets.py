"""No key and no signature in logs, XComs, trigger rows, rendered fields or errors."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.connections import use_connection
from tests.support.task_runs import operators

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_veo3.emulator import Emulator

KEY = "veo3_MARKEDmarkedMARKEDmarked0123"
SECRETS = (KEY, KEY[5:], "X-Goog-Signature", "x-goog-signature")
QUICK = {"poll_interval": 0.01, "poke_interval": 0.01, "timeout": 30.0}

SCENES: dict[str, list[dict[str, Any]]] = {
    "success": [],
    "generation_fails": [{"kind": "fail_generation", "error": f"the key {KEY} was seen", "times": None}],
    "answers_repeat_the_key": [
        {
            "kind": "status",
            "status": 400,
            "endpoint": "any",
            "times": None,
            "body": {"error": f"bad {KEY}", "message": "see https://f.invalid/a?X-Goog-Signature=abc"},
        }
    ],
    "trouble_repeats_the_key": [
        {"kind": "status", "status": 503, "endpoint": "status", "times": 4, "body": f"no {KEY}"},
        {"kind": "disconnect_before", "endpoint": "status", "times": 2},
    ],
    "files_are_refused": [{"kind": "expire", "endpoint": "file", "times": None}],
    "files_are_cut": [{"kind": "disconnect_mid_body", "endpoint": "file", "times": 1}],
    "key_refused": [{"kind": "status", "status": 401, "endpoint": "any", "times": None}],
}


@pytest.fixture
def everything_logged(
    caplog: pytest.LogCaptureFixture, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """Log at the most verbose level, without the emulator, which is not the provider."""
    for name in (None, "airflow_provider_veo3", "httpx", "httpcore", "urllib3", "requests", "fsspec"):
        caplog.set_level(logging.DEBUG, logger=name)
    for name in ("airflow_provider_veo3.emulator", "uvicorn"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.CRITICAL)
    emulator.add_key(KEY, credits=10_000)
    use_connection(monkeypatch, emulator, password=KEY)
    return caplog


def rows(run: Any) -> str:
    """Return every unencrypted value of a run in the database."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select, text

    from tests.support.airflow_versions import AIRFLOW, rendered_fields

    with create_session() as session:
        found = [
            (row.task_id, row.key, row.value)
            for row in session.scalars(select(XComModel).where(XComModel.run_id == run.run_id))
        ]
        found += [(task_id, "rendered", fields) for task_id, fields in rendered_fields(session, run.run_id)]
        assert any(key == "rendered" for _, key, _ in found)
        state = session.execute(text("select * from task_state_store")).all() if AIRFLOW >= (3, 3) else []
        return json.dumps([*found, *map(str, state)], default=str)


@pytest.mark.parametrize("scene", SCENES)
def test_no_secret_is_shown(
    scene: str,
    emulator: Emulator,
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor
    from tests.support.store_rig import ImpatientDownloadOperator
    from tests.support.task_runs import Run

    with DAG(f"secrets_{scene}", default_args=QUICK) as dag:
        submit = operators()[0](task_id="submit", prompt="x")
        for deferrable in (False, True):
            name = "deferred" if deferrable else "blocking"
            waiting = {"wait_for_completion": True, "deferrable": deferrable}
            operators()[0](task_id=f"wait_{name}", prompt="x", **waiting)
            Veo3GenerationSensor(task_id=f"sense_{name}", generation_id=submit.output, deferrable=deferrable)
        ImpatientDownloadOperator(task_id="store", generation_id=submit.output, destination=str(tmp_path))
    for fault in SCENES[scene]:
        emulator.inject(fault)
    run = Run(dag)
    ended = run.finish()
    assert any(end.error is not None for end in ended.values()) is (
        scene not in ("success", "trouble_repeats_the_key", "files_are_cut")
    )

    printed = capfd.readouterr()
    shown = {
        "logs": everything_logged.text,
        "stdout": printed.out,
        "stderr": printed.err,
        "rows": rows(run),
        "triggers": repr([end.triggers for end in ended.values()]),
        "events": repr([end.events for end in ended.values()]),
        "errors": "\n".join(text_of(end.error) for end in ended.values()),
        "operators": repr([vars(end.task) for end in ended.values()]),
    }
    assert "Generation veo_" in printed.out or scene in ("answers_repeat_the_key", "key_refused")
    for place, text in shown.items():
        assert [secret for secret in SECRETS if secret in text] == [], place
    if scene == "success":
        assert "DEBUG" in shown["logs"]
        assert shown["triggers"].count("Veo3GenerationTrigger") == 1
        assert f'"{ended["submit"].value}"' in shown["rows"] or ended["submit"].value in shown["rows"]


def text_of(error: BaseException | None) -> str:
    """Return the text and the attributes of an error and its causes."""
    parts = []
    while error is not None:
        parts.append(f"{error!r} {error} {vars(error)!r}")
        error = error.__cause__ or error.__context__
    return "\n".join(parts)
