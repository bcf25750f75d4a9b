"""`make ui`: three playing videos without a setting."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from testbed.local_airflow import CHECKOUT
from testbed.processes import end_process
from tests.support.airflow_versions import AIRFLOW
from tests.support.until import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.timeout(3600),  # with the start of Airflow; a busy machine is no failure
    pytest.mark.skipif(AIRFLOW < (3, 1), reason="Airflow 3.0 has no Videos page"),
]


def test_it_opens_with_three_playing_videos(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("VEO3_", "AIRFLOW"))}
    env |= {"VEO3_DESTINATION": str(tmp_path / "videos"), "PYTHONUNBUFFERED": "1"}
    with (
        (tmp_path / "output").open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "demo.ui"], cwd=CHECKOUT, env=env, stdout=output, stderr=output
        ) as process,
    ):

        def printed(name: str) -> str | None:
            assert process.poll() is None, (tmp_path / "output").read_text()
            found = re.search(rf"^  {name} +(\S+)$", (tmp_path / "output").read_text(), re.MULTILINE)
            return found and found[1]

        try:
            login = {
                "username": until("the user name", lambda: printed("User")),
                "password": until("the password", lambda: printed("Password")),
            }
            page = printed("Open") or ""
            url = page.removesuffix("/plugin/veo3-videos")
            assert url != page
            with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
                token = client.post("/auth/token", json=login).json()["access_token"]
                client.headers["Authorization"] = f"Bearer {token}"

                def playing() -> list[dict[str, str]] | None:
                    cards = client.get("/veo3/api/videos").json()["videos"]
                    files = [file for card in cards for file in card["files"] if file["plays"]]
                    return files if len(files) >= 3 else None

                files = until("three stored videos", playing)
                assert len(files) == 3
                assert len({file["dag_id"] for file in files}) == 3
                for file in files:
                    place = {name: file[name] for name in ("dag_id", "run_id", "task_id", "number")}
                    video = client.get("/veo3/video", params=place, headers={"Range": "bytes=0-99"})
                    assert (video.status_code, video.content[4:8]) == (206, b"ftyp")
        finally:
            end_process(process, timeout=120)
