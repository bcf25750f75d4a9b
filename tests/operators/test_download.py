"""The download operator, against an emulator's API and file host."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_veo3.emulator import Emulator, Fault, Settings
from airflow_provider_veo3.exceptions import (
    Veo3AuthenticationError,
    Veo3CorruptVideoError,
    Veo3GenerationNotFoundError,
    Veo3NoVideosError,
    Veo3ServerError,
    Veo3StorageError,
    Veo3ValidationError,
    Veo3VideoNotReadyError,
)
from airflow_provider_veo3.hooks.veo3 import Veo3Hook
from airflow_provider_veo3.operators.download import Veo3DownloadOperator, read_generation_ids
from airflow_provider_veo3.plugins.media import Locations
from tests.support.store_rig import ImpatientDownloadOperator
from tests.support.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.holding import Hold

SIZE = 3_000_000
CONN_ID = "veo3_under_test"
REQUESTS_IN_TWO_MINUTES = 12
"""Requests for a list of files after pauses of 1, 2, 4 and 8 seconds, and of 15 from then on."""


@dataclass
class FakeTaskInstance:
    """Receiver of the XComs of a task that runs without a scheduler."""

    xcoms: dict[str, Any] = field(default_factory=dict)
    map_index: int = -1
    dag_id: str = "alone"
    run_id: str = "manual"
    task_id: str = "download"

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


@dataclass
class Account:
    """Account of the emulator, and a task that downloads from it."""

    emulator: Emulator
    folder: Path
    ti: FakeTaskInstance = field(default_factory=FakeTaskInstance)

    def generate(self, samples: int = 1) -> str:
        """Submit a generation and return its id."""
        return Veo3Hook(CONN_ID).text_to_video("a tide pool", sample_count=samples).id

    def download(self, generation_id: Any, **parameters: Any) -> list[dict[str, Any]]:
        defaults = {"destination": f"file://{self.folder}", "veo3_conn_id": CONN_ID}
        with DAG("alone"):  # nothing is upstream
            operator = ImpatientDownloadOperator(
                task_id="download", generation_id=generation_id, **{**defaults, **parameters}
            )
        return operator.execute({"ti": self.ti, "task": operator})  # type: ignore[typeddict-item]

    def requests(self, endpoint: str) -> list[dict[str, Any]]:
        """Return the requests in the emulator's ledger."""
        return [each for each in self.emulator.ledger()["recent_requests"] if each["endpoint"] == endpoint]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    settings = Settings(
        pending_seconds=0,
        processing_seconds=0,
        file_size=SIZE,
        requests_per_minute=None,
        requests_per_day=None,
        queue_limit=None,
    )
    with Emulator(settings) as emulator:
        yield emulator


@pytest.fixture
def account(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    emulator.reset()
    connection = {
        "conn_type": "veo3",
        "host": emulator.base_url,
        "password": emulator.api_key,
        "extra": {"request_timeout": 60, "requests_per_minute": 100000},
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))
    return Account(emulator, tmp_path / "videos")


def test_every_video_of_a_generation_is_stored_and_returned(account: Account) -> None:
    generation_id = account.generate(samples=2)
    videos = account.download(generation_id)
    assert [(video["generation_id"], video["index"]) for video in videos] == [
        (generation_id, 0),
        (generation_id, 1),
    ]
    for video in videos:
        assert video["uri"] == f"file://{account.folder}/{generation_id}_{video['index']}.mp4"
        body = ObjectStoragePath(video["uri"]).read_bytes()
        assert (len(body), hashlib.sha256(body).hexdigest()) == (video["size"], video["sha256"])
        assert (video["size"], video["mime_type"]) == (SIZE, "video/mp4")
    assert json.loads(json.dumps(videos)) == videos
    assert account.ti.xcoms == {"stored_video_uris": [video["uri"] for video in videos]}


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_no_character_of_a_folder_is_an_escape_or_the_end_of_its_uri(
    account: Account, tmp_path: Path, scheme: str
) -> None:
    folder = tmp_path / "veo3 cost" / "take #1" / "100%20"
    (video,) = account.download(account.generate(), destination=f"{scheme}{folder}", sidecar=True)
    file, beside = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert (file.parent, beside.parent) == (folder, folder)
    assert video["uri"] == json.loads(beside.read_text(encoding="utf-8"))["uri"] == f"file://{file}"
    assert ObjectStoragePath(video["uri"]).read_bytes() == file.read_bytes()
    played = Locations(f"file://{tmp_path}/veo3 cost/, s3://elsewhere/").open(video["uri"])
    played.check_is_video()
    assert played.read(0, played.size) == file.read_bytes()


def test_a_retry_downloads_nothing_that_is_stored(account: Account) -> None:
    generation_id = account.generate()
    first = account.download(generation_id)
    inode = (account.folder / f"{generation_id}_0.mp4").stat().st_ino
    assert account.download(generation_id) == first
    assert (account.folder / f"{generation_id}_0.mp4").stat().st_ino == inode


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "truncate"},
        {"kind": "disconnect_mid_body"},
        {"kind": "wrong_length"},
        {"kind": "wrong_length", "bytes": SIZE + 1000},
        {"kind": "no_length"},
        {"kind": "html_instead"},
        {"kind": "corrupt"},
        {"kind": "expire"},
        {"kind": "garbage"},
        {"kind": "disconnect_before"},
        {"kind": "status", "status": 404},
        {"kind": "status", "status": 503, "headers": {"Retry-After": "0"}},
    ],
    ids=lambda fault: " ".join(map(str, fault.values())),
)
def test_one_fault_of_the_file_host_is_survived(account: Account, fault: dict[str, Any]) -> None:
    generation_id = account.generate()
    account.emulator.inject({"endpoint": "file", **fault})
    (video,) = account.download(generation_id)
    again = account.folder.parent / "again"
    assert account.download(generation_id, destination=str(again))[0]["sha256"] == video["sha256"]
    assert account.emulator.faults()[0]["met"] == 1
    assert account.emulator.ledger()["api_key_leaks"] == []


def test_a_cut_download_is_resumed_not_repeated(account: Account) -> None:
    generation_id = account.generate()
    account.emulator.inject(Fault("truncate", endpoint="file", bytes=2 * 2**20))
    account.download(generation_id)
    (task,) = account.emulator.ledger()["tasks"]
    assert task["fetched"] == [{"index": 0, "requests": 2, "bytes": SIZE}]


def test_a_link_that_expired_meanwhile_is_renewed(account: Account) -> None:
    generation_id = account.generate()
    account.emulator.inject(Fault("expire", endpoint="file"))
    account.download(generation_id)
    assert len(account.requests("download")) == 2


def test_nothing_is_stored_from_a_host_that_sends_only_web_pages(account: Account) -> None:
    generation_id = account.generate()
    account.emulator.inject(Fault("html_instead", endpoint="file", times=None))
    with pytest.raises(Veo3CorruptVideoError, match=r"text/html"):
        account.download(generation_id)
    assert not account.folder.exists() or not any(account.folder.iterdir())
    assert account.ti.xcoms == {}


def test_the_error_names_failed_and_stored_files(account: Account) -> None:
    good, bad = account.generate(), account.generate()
    account.emulator.inject(Fault("status", endpoint="file", status=403, times=None, task_id=bad))
    with pytest.raises(Veo3StorageError) as caught:
        account.download([bad, good, "veo_unknown"])
    for part in (f"{bad} file 0", f"{good}_0.mp4", "veo_unknown"):
        assert part in str(caught.value)
    assert [path.name for path in account.folder.iterdir()] == [f"{good}_0.mp4"]
    account.emulator.clear_faults()
    assert [video["generation_id"] for video in account.download([bad, good])] == [bad, good]


def test_ids_are_read_from_every_shape_that_mapped_tasks_return() -> None:
    class Lazy(Sequence[str]):
        """XComs of a mapped task, read one by one."""

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: Any) -> Any:
            return ["veo_a", "veo_b"][index]

    assert read_generation_ids("veo_a") == ["veo_a"]
    assert read_generation_ids(Lazy()) == ["veo_a", "veo_b"]
    assert read_generation_ids(("veo_b", "veo_a", "veo_b")) == ["veo_b", "veo_a"]
    assert read_generation_ids([["veo_a"], None, ["veo_b", None]]) == ["veo_a", "veo_b"]
    assert read_generation_ids(iter(["veo_a"])) == ["veo_a"]
    assert read_generation_ids([]) == []
    assert read_generation_ids([None]) == []
    assert read_generation_ids([7, "../a b", "[a]"]) == ["7", "../a b", "[a]"]


@pytest.mark.parametrize(
    "value",
    [None, "", "None", "a\nb", "x" * 513, b"veo_a", {"id": "a"}, ["a", ""], ["a", "nan"], True, -1, 7.5],
)
def test_a_value_that_is_no_id_is_refused(value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match=r"generation_id=.*allowed"):
        read_generation_ids(value)


@pytest.mark.parametrize(
    "text",
    [
        "['veo_a', 'veo_b']",
        '["veo_a"]',
        "('veo_a',)",
        "{'veo_a'}",
        "[]",
        "LazyXComSequence(<unevaluated length>)",
        "LazyXComSequence([2 items])",
    ],
)
def test_a_list_that_a_template_made_a_text_of_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(Veo3ValidationError, match=r"generation_id=.*`output`.*native") as caught:
        read_generation_ids(text)
    assert caught.value.field == "generation_id"


@pytest.mark.parametrize("value", ["yes", 2, None])
@pytest.mark.parametrize("name", ["overwrite", "require_all_samples", "sidecar"])
def test_a_flag_that_is_neither_true_nor_false_is_refused_when_the_dag_is_read(name: str, value: Any) -> None:
    with DAG("flags"), pytest.raises(Veo3ValidationError, match=f"^{name}="):
        Veo3DownloadOperator(task_id="t", generation_id="veo_a", destination="/v", **{name: value})


def test_numbers_and_flags_of_every_kind_are_taken(account: Account) -> None:
    generation_id = account.generate()
    for most in (8.0, "8", Decimal(8)):
        account.download(generation_id, max_concurrency=most, overwrite="true", sidecar="False")
    assert not (account.folder / f"{generation_id}_0.mp4.json").exists()
    account.download(generation_id, sidecar="True")
    assert (account.folder / f"{generation_id}_0.mp4.json").exists()


def test_an_empty_list_stores_and_requests_nothing(account: Account) -> None:
    assert account.download([]) == []
    assert account.ti.xcoms == {"stored_video_uris": []}
    assert account.emulator.ledger()["recent_requests"] == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"generation_id": None},
        {"destination": "nonsense://bucket/"},
        {"destination": ""},
        {"destination": None},
        {"filename": None},
        {"filename": "../{generation_id}"},
        {"filename": "same.mp4"},
        {"max_concurrency": 0},
    ],
    ids=str,
)
def test_a_bad_parameter_is_reported_before_any_request(account: Account, parameters: dict[str, Any]) -> None:
    (name,) = parameters
    with pytest.raises(Veo3ValidationError) as caught:
        account.download(**{"generation_id": ["veo_a", "veo_b"], **parameters})
    assert caught.value.field == name
    assert account.emulator.ledger()["recent_requests"] == []


def test_an_unknown_generation_fails_at_once(account: Account) -> None:
    with pytest.raises(Veo3GenerationNotFoundError):
        account.download("veo_unknown")


def test_a_generation_without_files_says_so(account: Account) -> None:
    account.emulator.inject(Fault("no_videos"))
    generation_id = account.generate()
    with pytest.raises(Veo3NoVideosError):
        account.download(generation_id)
    assert len(account.requests("download")) == REQUESTS_IN_TWO_MINUTES


def test_an_api_that_is_away_is_asked_a_dozen_times_in_two_minutes(account: Account) -> None:
    generation_id = account.generate()
    account.emulator.inject({"kind": "status", "status": 503, "endpoint": "download", "times": None})
    with pytest.raises(Veo3ServerError):
        account.download(generation_id)
    assert len(account.requests("download")) == REQUESTS_IN_TWO_MINUTES


def test_a_rate_limit_is_waited_out_as_the_api_asks(account: Account) -> None:
    generation_id = account.generate()
    refusal = {"kind": "status", "status": 429, "headers": {"Retry-After": "60"}, "endpoint": "download"}
    account.emulator.inject({**refusal, "times": 3})
    assert len(account.download(generation_id)) == 1
    assert [each["status"] for each in account.requests("download")] == [*["429"] * 3, "200"]


def test_an_unfinished_generation_says_so(account: Account) -> None:
    account.emulator.configure(processing_seconds=600)
    generation_id = account.generate()
    with pytest.raises(Veo3VideoNotReadyError):
        account.download(generation_id)


def test_a_refused_key_fails_at_once(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "veo3", "host": account.emulator.base_url, "password": "veo3_another_key"}
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))
    with pytest.raises(Veo3AuthenticationError):
        account.download(["veo_a", "veo_b"])


def test_the_key_never_reaches_the_file_host_nor_the_log(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    generation_id = account.generate()
    account.emulator.inject(Fault("truncate", endpoint="file"))
    with caplog.at_level("DEBUG", logger="airflow_provider_veo3"):
        account.download(generation_id)
    assert account.emulator.ledger()["api_key_leaks"] == []
    ours = ("airflow_provider_veo3.storage.store", "airflow_provider_veo3.storage.transfer")
    shown = "".join(record.getMessage() for record in caplog.records if record.name in ours)
    assert generation_id in shown
    assert account.emulator.api_key not in shown
    assert "X-Goog-Signature" not in shown


def test_on_kill_stops_the_transfers(account: Account, hold: Hold) -> None:
    with DAG("killed"):
        operator = Veo3DownloadOperator(
            task_id="download", generation_id="veo_a", destination=str(account.folder), veo3_conn_id=CONN_ID
        )
    operator.on_kill()  # before it runs: nothing to stop
    generation_id = account.generate()
    account.emulator.inject(Fault("stall", endpoint="file", bytes=2 * 2**20))
    operator.generation_id = generation_id

    def kill_during_transfer() -> None:
        until("a file being written", lambda: next(account.folder.glob(".*"), None))
        operator.on_kill()
        hold.end()

    killer = threading.Thread(target=kill_during_transfer, daemon=True)
    killer.start()
    with pytest.raises(Veo3StorageError, match="the task was ended"):
        operator.execute({"ti": account.ti, "task": operator})  # type: ignore[typeddict-item]
    killer.join()
    assert not any(account.folder.iterdir())


def test_templates_are_rendered_before_anything_is_checked() -> None:
    with DAG("templates"):
        operator = Veo3DownloadOperator(
            task_id="download",
            generation_id="{{ params.id }}",
            destination="file:///videos/{{ ds }}/",
            filename="{{ ds }}/{generation_id}_{index}.mp4",
            veo3_conn_id="veo3_{{ params.team }}",
        )
    operator.render_template_fields({"ds": "2026-01-02", "params": {"id": "veo_a", "team": "blue"}})  # type: ignore[arg-type,typeddict-item,unused-ignore]
    assert operator.generation_id == "veo_a"
    assert operator.destination == "file:///videos/2026-01-02/"
    assert operator.filename == "2026-01-02/{generation_id}_{index}.mp4"
    assert operator.veo3_conn_id == "veo3_blue"


def test_the_operator_can_be_mapped() -> None:
    with DAG("mapped"):
        mapped = Veo3DownloadOperator.partial(task_id="download", destination="/videos").expand(
            generation_id=["veo_a", "veo_b"]
        )
    operator = mapped.unmap({"generation_id": "veo_b"})
    assert isinstance(operator, Veo3DownloadOperator)
    assert (operator.generation_id, operator.destination) == ("veo_b", "/videos")
    assert [link.name for link in mapped.operator_extra_links] == ["Videos", "Stored video"]


def test_importing_the_operator_loads_no_http_library() -> None:
    code = (
        "import sys; from airflow.sdk import BaseOperator; before = set(sys.modules);"
        "import airflow_provider_veo3.operators.download;"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}),"
        "[name for name in set(sys.modules) - before if name.startswith('airflow_provider_veo3')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    for heavy in ("requests", "urllib3", "fsspec", "transport", "storage"):
        assert heavy not in shown
