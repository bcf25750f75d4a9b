"""Fixtures of every test that runs operators: an Airflow database, a VEO3 emulator, small images."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from tests.support.clock import FakeClock
from tests.support.connections import use_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_veo3.emulator import Emulator


def set_timings(monkeypatch: pytest.MonkeyPatch, **changes: float) -> None:
    """Let generating tasks settle lost responses and failures within fractions of a second."""
    from airflow_provider_veo3.operators._generating import GeneratingOperator
    from airflow_provider_veo3.submission.decisions import Timings

    short = {
        "listing_lag": 0.02,
        "status_lag": 0.0,
        "acceptance_span": 0.2,
        "peer_patience": 0.03,
        "first_pause": 0.01,
        "airflow_patience": 0.0,
        "failure_confirmation": 0.02,
    }
    monkeypatch.setattr(GeneratingOperator, "timings", Timings(**short | changes))


def know_quick_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let triggers on ``veo3_default`` poll soon, as after generations that took no time."""
    from airflow_provider_veo3.api.models import Generation, Status
    from airflow_provider_veo3.polling import shared
    from airflow_provider_veo3.polling.durations import Durations

    durations = Durations()
    for model in ("veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001"):
        durations.learn(Generation(f"veo_0_{model}", Status.COMPLETED, model=model, processing_seconds=0.0))
    monkeypatch.setattr(shared, "_durations", {"veo3_default": durations})


@pytest.fixture(scope="session")
def airflow_bundles(airflow_db: None) -> None:
    """Airflow's tables, and the bundle that DAGs are registered in."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    with warnings.catch_warnings():
        # Airflow's in-process API server imports it, which Starlette 1.x has something to say about
        warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient` is deprecated")
        import starlette.testclient  # noqa: F401

    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture(scope="session")
def _one_emulator() -> Iterator[Emulator]:
    from airflow_provider_veo3.emulator import Emulator, Settings

    unlimited = dict.fromkeys(
        ("requests_per_minute", "requests_per_day", "concurrent_requests", "queue_limit")
    )
    # a stand-in of fixed size for each file: what the videos show is tested elsewhere
    with Emulator(
        Settings(processing_seconds=0, pending_seconds=0, credits=10**6, file_size=4096, **unlimited)
    ) as emulator:
        yield emulator


def renew(emulator: Emulator) -> None:
    """Make an emulator as new, with its clock: a test may have advanced that by hours."""
    from airflow_provider_veo3.emulator import Clock

    emulator.reset()
    emulator.clock = Clock()


@pytest.fixture
def emulator(
    _one_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, airflow_bundles: None
) -> Iterator[Emulator]:
    """An emulator as new that finishes at once, and tasks that do not wait either.

    The connection ``veo3_default`` leads to it.
    """
    from airflow_provider_veo3.triggers.generation import Veo3GenerationTrigger

    renew(_one_emulator)
    know_quick_generations(monkeypatch)
    set_timings(monkeypatch)
    # the seconds after a deferral in which a trigger holds its event back
    monkeypatch.setattr(Veo3GenerationTrigger, "clock", FakeClock(now=1e11))
    use_connection(monkeypatch, _one_emulator)
    yield _one_emulator
    assert _one_emulator.ledger()["api_key_leaks"] == []


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two small images, by name."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures with spaces")
    Image.new("RGB", (32, 18), "navy").save(folder / "first.png")
    Image.new("RGB", (32, 18), "gold").save(folder / "last.jpg")
    return {"first": str(folder / "first.png"), "last": str(folder / "last.jpg")}


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten lost responses and deferred back-offs, which take minutes in production, to no time."""
    from airflow_provider_veo3.triggers.backoff import Veo3BackoffTrigger

    set_timings(monkeypatch)
    monkeypatch.setattr(Veo3BackoffTrigger, "clock", FakeClock(now=1e11))
