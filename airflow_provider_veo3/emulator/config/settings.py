"""Settings of the emulator."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator

from airflow_provider_veo3.emulator.config.options import YEAR, extra_of, option, validated
from airflow_provider_veo3.emulator.config.quirks import Quirks

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER = "server"
ACCOUNT = "default account"
LIMITS = "limits of the vendor"
GENERATION = "processing times"
FILES = "video files"

TYPICAL = "typical"
WindowMode = Literal["first-request", "aligned", "sliding"]
_RANGE = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")


def parse_range(text: str) -> tuple[float, float]:
    """Parse ``90`` or ``60-120`` as a range of seconds."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError("must be 'typical', seconds such as 90, or a range such as 60-120")
    low = float(match[1])
    high = float(match[2] or match[1])
    if high < low:
        raise ValueError("the range ends before it begins")
    if high > YEAR:
        raise ValueError(f"must be at most {YEAR}")
    return low, high


def _processing_seconds(value: str | float) -> str:
    text = value if isinstance(value, str) else f"{value:.6f}".rstrip("0").rstrip(".")
    if text != TYPICAL:
        parse_range(text)
    return text


def _loopback(host: str) -> str:
    if host == "localhost":
        return host
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError("the emulator listens on loopback only: 127.0.0.1, ::1 or localhost")
    return host


def check_key(value: str) -> str:
    """Return an API key of the vendor's form, or raise ``ValueError``."""
    if not re.fullmatch(r"veo3_[\x21-\x7e]+", value):
        raise ValueError("a key begins with veo3_ and has no blanks")
    return value


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even, as H.264 needs it")
    return value


class Settings(Quirks, frozen=True):
    """All options of the emulator.

    The value ``off`` of the command line is ``None`` here.
    """

    host: Annotated[str, AfterValidator(_loopback)] = option(
        "127.0.0.1", SERVER, "address to listen on, loopback only", runtime=False
    )
    port: int = option(0, SERVER, "port of the API; 0 = any free port", ge=0, le=65_535, runtime=False)
    files_port: int = option(
        0, SERVER, "port of the file host; 0 = any free port", ge=0, le=65_535, runtime=False
    )
    seed: int = option(
        0,
        SERVER,
        "seed of all random numbers: processing times, ids, probabilities of faults, shuffled history",
        runtime=False,
    )
    time_scale: float = option(
        1.0,
        SERVER,
        "factor by which the vendor's durations pass faster (processing, link lifetime, minute, day); "
        "timestamps are those of the wall clock",
        ge=0.001,
        le=1_000_000,
    )

    body_timeout_seconds: float | None = option(
        30.0,
        SERVER,
        "seconds of the wall clock until the body of a request must be complete; or 'off'",
        gt=0,
        le=YEAR,
    )
    cors: bool = option(True, SERVER, "let web pages of any origin use the API and the file host (CORS)")

    api_key: Annotated[str, AfterValidator(check_key)] = option(
        "veo3_emulator_key", ACCOUNT, "its key; begins with veo3_", runtime=False
    )
    credits: int = option(10_000, ACCOUNT, "its credits at the start", ge=0, runtime=False)

    requests_per_minute: int | None = option(60, LIMITS, "requests per minute, or 'off'", ge=1)
    requests_per_day: int | None = option(1000, LIMITS, "requests per day, or 'off'", ge=1)
    concurrent_requests: int | None = option(10, LIMITS, "requests at the same time, or 'off'", ge=1)
    queue_limit: int | None = option(
        5, LIMITS, "videos that are pending or processing at the same time, or 'off'", ge=1
    )
    limits_of: Literal["key", "account"] = option(
        "key",
        LIMITS,
        "scope of the limits: key = each key has its own, as one page says of the minute; "
        "account = all keys of an account share them",
    )
    rate_window: WindowMode = option(
        "first-request",
        LIMITS,
        "start of a minute: with the first request, aligned to the clock, or sliding",
    )
    day_window: WindowMode = option(
        "aligned",
        LIMITS,
        "start of a day: with the first request, aligned to midnight UTC, or sliding",
    )

    processing_seconds: Annotated[str | float, AfterValidator(_processing_seconds)] = option(
        TYPICAL,
        GENERATION,
        "time from acceptance to the end of a generation: typical = the model's published time +-25%; "
        "or seconds (90); or a range (60-120)",
    )
    pending_seconds: float = option(
        2.0, GENERATION, "the part of that time in which the status is pending", ge=0, le=YEAR
    )

    height: Annotated[int, AfterValidator(_even)] = option(
        720, FILES, "short side of the picture in pixels; small values render faster", ge=32, le=2160
    )
    file_size: int | None = option(
        None,
        FILES,
        "serve files of exactly this many bytes (an MP4 header, then noise) instead of rendering; or 'off'",
        ge=64,
    )

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """Return the settings after changes at run time."""
        fields = type(self).model_fields
        for name in changes:
            if name not in fields:
                raise ValueError(f"{name}: no such option")
            if not extra_of(fields[name], "runtime"):
                raise ValueError(f"{name}: cannot change while the emulator runs")
        return validated(type(self), {**self.model_dump(), **changes})

    def scaled(self, vendor_seconds: float) -> float:
        """Return the length of a duration of the vendor under the time scale, in seconds."""
        return vendor_seconds / self.time_scale
