"""The command line, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from airflow_provider_veo3.emulator import Settings
from airflow_provider_veo3.emulator.__main__ import read_arguments

COMMAND = [sys.executable, "-W", "error", "-m", "airflow_provider_veo3.emulator"]


@pytest.fixture
def run(tmp_path):
    """Start the command and wait for its ready file."""
    processes = []

    def started(*options: str) -> tuple[subprocess.Popen[str], dict]:
        ready = tmp_path / "ready.json"
        command = [*COMMAND, "--port", "0", "--files-port", "0", "--ready-file", str(ready), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        processes.append(process)
        deadline = time.monotonic() + 300
        while not ready.exists():
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert ready.stat().st_mode & 0o077 == 0
        return process, json.loads(ready.read_text())

    yield started
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_a_signal(run, tmp_path, number):
    process, facts = run(
        "--height", "32", "--processing-seconds", "0", "--credits", "500", "--time-scale", "9"
    )
    assert facts["pid"] == process.pid
    with httpx.Client(base_url=facts["base_url"], headers={"X-API-Key": facts["api_key"]}, timeout=60) as api:
        response = api.post("/api/veo/text-to-video", json={"prompt": "A", "durationSeconds": 5})
        task_id = response.json()["taskId"]
        url = api.get(f"/api/veo/download/{task_id}").json()["videos"][0]["url"]
    assert url.startswith(facts["files_url"])
    assert httpx.get(url, trust_env=False, timeout=60).content[4:8] == b"ftyp"
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert not (tmp_path / "ready.json").exists()
    lines = output.splitlines()
    assert facts["base_url"] in lines[0]
    assert [line.split(" ", 1)[1] for line in lines[-3:-1]] == [
        f"POST text-to-video 202 {task_id} −190 credits (310 left)",  # noqa: RUF001
        f"GET download 200 {task_id} 1 video",
    ]
    assert "Signature" not in output


def test_quiet(run):
    process, facts = run("--quiet")
    httpx.get(facts["base_url"], trust_env=False, timeout=60)
    process.terminate()
    assert "GET" not in process.communicate(timeout=120)[0]


def test_help_explains_every_option():
    environment = {**os.environ, "COLUMNS": "80"}
    text = subprocess.run(
        [*COMMAND, "--help"], capture_output=True, text=True, check=True, env=environment
    ).stdout
    words = " ".join(text.split())
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in words
        assert " ".join(field.description.split())[:30] in words


def test_arguments_become_settings():
    settings, ready_file, quiet = read_arguments(
        [
            *("--requests-per-minute", "off", "--queue-limit", "9", "--time-scale", "2.5"),
            *(
                "--aspect-ratios",
                "9:16",
                "--no-signed-urls",
                "--fast-refuses-images",
            ),
            *(
                "--processing-seconds",
                "60-120",
                "--policy-status",
                "422",
                "--videos-shape",
                "result.video_url",
            ),
        ]
    )
    assert settings == Settings(
        port=8765,
        files_port=8766,
        requests_per_minute=None,
        queue_limit=9,
        time_scale=2.5,
        aspect_ratios=("9:16",),
        signed_urls=False,
        fast_refuses_images=True,
        processing_seconds="60-120",
        policy_status=422,
        videos_shape="result.video_url",
    )
    assert (ready_file, quiet) == (None, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time-scale", "0"], "--time-scale=0.0: Input should be greater than or equal to 0.001"),
        (["--host", "192.0.2.1"], "loopback only"),
        (["--height", "tall"], "invalid number value"),
        (["--port", "99999"], "--port=99999: Input should be less than or equal to 65535"),
        (["--files-port", "65536"], "--files-port=65536: Input should be less than or equal to 65535"),
        (["--time-scale", "nan"], "--time-scale=nan: Input should be a finite number"),
        (["--pending-seconds", "inf"], "--pending-seconds=inf: Input should be a finite number"),
        (["--aspect-ratios", ""], "--aspect-ratios=(): must not be empty"),
        (["--status-labels", "odd"], "--status-labels='odd': Input should be 'lower', 'upper'"),
        (["--colour", "1"], "unrecognized arguments"),
    ],
)
def test_invalid_options_are_refused(capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_:
        read_arguments(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_a_busy_port(run):
    _, facts = run()
    port = str(httpx.URL(facts["base_url"]).port)
    words = [*COMMAND, "--port", port, "--files-port", "0"]
    second = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (second.returncode, second.stdout) == (1, "")
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
