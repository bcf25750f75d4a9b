"""URLs of the video files: their paths, signatures and expiry."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LIFETIME: Final = 86_400.0
"""Lifetime of a URL, in seconds of the vendor."""
BUCKET_PATH: Final = "/veo3gen-gen-video/videos"
_DATE = "%Y%m%dT%H%M%S"
_DATE_SHAPE = re.compile(r"(\d{8}T\d{6})\.(\d{3})Z")


def video_path(task_id: str, index: int) -> str:
    """Return the path of a video on the file host."""
    return f"{BUCKET_PATH}/{task_id}/sample_{index}.mp4"


class Signer:
    """Signer of file URLs, with a secret that lives as long as the emulator."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def sign(self, path: str, signed_at: float, lifetime: float) -> str:
        """Return the query string that makes a path valid until ``signed_at + lifetime``."""
        date = _format(signed_at)
        expires = f"{round(lifetime, 3):g}" if lifetime < 1 else str(round(lifetime, 3)).removesuffix(".0")
        signature = self._signature(path, date, expires)
        return f"X-Goog-Date={date}&X-Goog-Expires={expires}&X-Goog-Signature={signature}"

    def expiry(self, path: str, query: Mapping[str, str]) -> float | None:
        """Return the time at which a URL expires, or None if its signature is wrong."""
        date, expires = query.get("X-Goog-Date", ""), query.get("X-Goog-Expires", "")
        given = query.get("X-Goog-Signature", "")
        if not hmac.compare_digest(given.encode(), self._signature(path, date, expires).encode()):
            return None
        return _parse(date) + float(expires)

    def _signature(self, path: str, date: str, expires: str) -> str:
        text = f"{path}\n{date}\n{expires}"
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def _format(moment: float) -> str:
    milliseconds = round(moment * 1000)
    utc = datetime.datetime.fromtimestamp(milliseconds // 1000, tz=datetime.UTC)
    return f"{utc.strftime(_DATE)}.{milliseconds % 1000:03d}Z"


def _parse(text: str) -> float:
    match = _DATE_SHAPE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not the date of a signature")
    utc = datetime.datetime.strptime(match[1], _DATE).replace(tzinfo=datetime.UTC)
    return utc.timestamp() + int(match[2]) / 1000
