"""Real emulators on loopback sockets, with a clock that only moves when a test says so."""

from __future__ import annotations

import io
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from airflow_provider_veo3.emulator import Emulator, FrozenClock, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Loading certificates takes longer than most tests, and nothing here is encrypted.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Client:
    """A plain client: paths and fields as the vendor's page writes them."""

    def __init__(self, emulator: Emulator, key: str | None) -> None:
        headers = {"X-API-Key": key} if key else {}
        self.emulator = emulator
        self.http = httpx.Client(
            base_url=emulator.base_url, headers=headers, timeout=60, verify=NO_CERTIFICATES
        )

    def text(self, prompt: str = "A dragon", **fields: Any) -> httpx.Response:
        return self.http.post("/api/veo/text-to-video", json={"prompt": prompt, **fields})

    def image(
        self, data: bytes | None, prompt: str = "A dragon", name: str = "image", **fields: str
    ) -> httpx.Response:
        files = {name: ("photo.png", data, "image/png")} if data is not None else {"other": b""}
        form = {"prompt": prompt, **fields}
        return self.http.post("/api/veo/image-to-video", data=form, files=files)

    def frames(self, first: bytes, last: bytes, **fields: str) -> httpx.Response:
        names = self.emulator.settings.first_frame_field, self.emulator.settings.last_frame_field
        files = {
            name: (f"{name}.png", data, "image/png") for name, data in zip(names, (first, last), strict=True)
        }
        return self.http.post("/api/veo/first-last-frame", data={"prompt": "A", **fields}, files=files)

    def submit(self, prompt: str = "A dragon", **fields: Any) -> str:
        answer = self.text(prompt, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["taskId"])

    def finished(self, **fields: Any) -> str:
        """Submit, and let the time pass that it takes."""
        task_id = self.submit(**fields)
        self.emulator.advance(200)
        return task_id

    def status(self, task_id: str) -> httpx.Response:
        return self.http.get(f"/api/veo/status/{task_id}")

    def download(self, task_id: str) -> httpx.Response:
        return self.http.get(f"/api/veo/download/{task_id}")

    def history(self, **query: Any) -> httpx.Response:
        return self.http.get("/api/veo/history", params=query)

    def get(self, url: str, **headers: str) -> httpx.Response:
        """Fetch a file as a stranger would: without the key."""
        request = httpx.Request(
            "GET", url, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        return self.http.send(request)

    def urls(self, task_id: str) -> list[str]:
        return [video["url"] for video in self.download(task_id).json()["videos"]]


@pytest.fixture
def start() -> Iterator[Callable[..., Client]]:
    """Start an emulator with these settings; the client has the default key."""
    with ExitStack() as stack:

        def started(**settings: Any) -> Client:
            chosen = Settings(**{"height": 32, "requests_per_minute": None, **settings})
            emulator = stack.enter_context(Emulator(chosen, clock=FrozenClock()))
            client = Client(emulator, emulator.api_key)
            stack.callback(client.http.close)
            return client

        yield started


@pytest.fixture
def api(start: Callable[..., Client]) -> Client:
    """A client of an emulator with default settings, apart from the minute's limit."""
    return start()


@pytest.fixture
def connect() -> Iterator[Callable[[Client, str | None], Client]]:
    """Another client of the same emulator, with another key or none."""
    with ExitStack() as stack:

        def connected(api: Client, key: str | None) -> Client:
            client = Client(api.emulator, key)
            stack.callback(client.http.close)
            return client

        yield connected


def picture(colour: str = "red", size: tuple[int, int] = (64, 48), kind: str = "PNG") -> bytes:
    """A small image file."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


@pytest.fixture
def png() -> bytes:
    return picture()
