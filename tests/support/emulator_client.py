"""A plain HTTP client of the emulator, independent of the provider's client."""

from __future__ import annotations

import io
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
from PIL import Image

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator import Emulator

# Loading certificates takes longer than most tests, and no connection here is encrypted.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Client:
    """A client that uses the paths and fields of the vendor's pages.

    :param key: API key of the requests, or None.
    """

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
        response = self.text(prompt, **fields)
        assert response.status_code == 202, response.text
        return str(response.json()["taskId"])

    def finished(self, **fields: Any) -> str:
        """Submit a generation, and advance the clock beyond its end."""
        task_id = self.submit(**fields)
        self.emulator.advance(200)
        return task_id

    def status(self, task_id: str) -> httpx.Response:
        return self.http.get(f"/api/veo/status/{quote(task_id, safe='')}")

    def download(self, task_id: str) -> httpx.Response:
        return self.http.get(f"/api/veo/download/{quote(task_id, safe='')}")

    def history(self, **query: Any) -> httpx.Response:
        return self.http.get("/api/veo/history", params=query)

    def get(self, url: str, **headers: str) -> httpx.Response:
        """Fetch a file without the key."""
        request = httpx.Request(
            "GET", url, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        return self.http.send(request)

    def urls(self, task_id: str) -> list[str]:
        return [video["url"] for video in self.download(task_id).json()["videos"]]


def picture(colour: str = "red", size: tuple[int, int] = (64, 48), kind: str = "PNG") -> bytes:
    """Return a small image file."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()
