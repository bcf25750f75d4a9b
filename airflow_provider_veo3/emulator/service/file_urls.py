"""URLs of the video files: their paths, signatures and expiry.

A signature covers the path and the query as they are spelled, byte for byte.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator.config.settings import Settings

LIFETIME: Final = 86_400.0
"""Lifetime of a URL, in seconds of the vendor."""
BUCKET_PATH: Final = "/veo3gen-gen-video/videos"
_FILE_NAME = re.compile(r"sample[_ ](\d{1,3})\.mp4", re.ASCII)
_SIGNATURE = "&X-Goog-Signature="
_DATE = "%Y%m%dT%H%M%S"
# A parameter with which a link names the file for browsers.
_DISPOSITION = "&response-content-disposition=attachment"


def video_path(task_id: str, index: int, settings: Settings) -> str:
    """Return the path of a video on the file host, as it must be spelled."""
    separator = "_"
    if "inside" in settings.url_whitespace:
        separator = "%20"
    elif settings.url_escapes:
        separator = "%5f"
    return f"{BUCKET_PATH}/{quote(task_id, safe='')}/sample{separator}{index}.mp4"


def parse_path(path: str) -> tuple[str, int] | None:
    """Return the task id and the index that a path on the file host names."""
    folder, _, rest = path.removeprefix(f"{BUCKET_PATH}/").partition("/")
    match = _FILE_NAME.fullmatch(unquote(rest))
    return (unquote(folder), int(match[1])) if match and path.startswith(f"{BUCKET_PATH}/") else None


def shown_url(url: str, settings: Settings) -> str:
    """Return a URL as the API shows it: white space in it is not escaped."""
    if "inside" in settings.url_whitespace:
        url = url.replace("%20", " ")
    return f" {url}\n" if "around" in settings.url_whitespace else url


class Signer:
    """Signer of file URLs, with a secret that lives as long as the emulator."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def sign(self, path: str, signed_at: float, settings: Settings) -> str:
        """Return a path with the signature that its lifetime needs."""
        lifetime = round(settings.scaled(LIFETIME), 3)
        expires = f"{lifetime:g}" if lifetime < 1 else str(lifetime).removesuffix(".0")
        target = f"{path}?X-Goog-Date={_format(signed_at)}&X-Goog-Expires={expires}"
        if settings.url_escapes:
            # Not how a library would spell it: lower-case and upper-case digits, and an escaped tilde.
            target += f"{_DISPOSITION}%3b%20filename%3D%7Evideo.mp4"
        elif "inside" in settings.url_whitespace:
            target += f"{_DISPOSITION}%3B%20filename%3Dvideo.mp4"
        return target + _SIGNATURE + self._signature(target)

    def expiry(self, target: str) -> float | None:
        """Return the time at which a path expires, or None if its signature is wrong."""
        signed, _, signature = target.rpartition(_SIGNATURE)
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        query = dict(parse_qsl(signed.partition("?")[2]))
        return _parse(query["X-Goog-Date"]) + float(query["X-Goog-Expires"])

    def _signature(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def _format(moment: float) -> str:
    milliseconds = round(moment * 1000)
    utc = datetime.datetime.fromtimestamp(milliseconds // 1000, tz=datetime.UTC)
    return f"{utc.strftime(_DATE)}.{milliseconds % 1000:03d}Z"


def _parse(text: str) -> float:
    return datetime.datetime.strptime(text, f"{_DATE}.%fZ").replace(tzinfo=datetime.UTC).timestamp()
