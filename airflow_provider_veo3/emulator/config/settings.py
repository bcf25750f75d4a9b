"""Every option of the emulator, declared once."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.emulator.config.dialect import Dialect
from airflow_provider_veo3.emulator.config.options import YEAR, checked, option, options_of, read_changes

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER = "server"
ACCOUNT = "the default account"
LIMITS = "the vendor's limits"
GENERATION = "how generations go"
FILES = "the video files"

TYPICAL = "typical"
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")


def parse_span(text: str) -> tuple[float, float]:
    """Read ``90`` or ``60-120`` as a range of seconds."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError("must be 'typical', seconds such as 90, or a range such as 60-120")
    low = float(match[1])
    high = float(match[2] or match[1])
    if high < low:
        raise ValueError("the range ends before it begins")
    if high > YEAR:
        raise ValueError(f"must be at most {YEAR}")
    return low, high


def _processing(value: str | float) -> str:
    text = f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, int | float) else value
    if text != TYPICAL:
        parse_span(text)
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
    """Refuse what cannot be a key of the vendor's."""
    if not re.fullmatch(r"veo3_[\x21-\x7e]+", value):
        raise ValueError("a key begins with veo3_ and has no blanks")
    return value


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even, as H.264 needs it")
    return value


@dataclasses.dataclass(frozen=True)
class Settings(Dialect):
    """All options; the command line, the run-time settings and the checks are derived from this table.

    What the command line calls ``off`` is ``None`` here.
    """

    host: str = option(
        "127.0.0.1", SERVER, "address to listen on, loopback only", runtime=False, check=_loopback
    )
    port: int = option(
        0, SERVER, "port of the API; 0 = any free port", minimum=0, maximum=65_535, runtime=False
    )
    files_port: int = option(
        0, SERVER, "port of the file host; 0 = any free port", minimum=0, maximum=65_535, runtime=False
    )
    seed: int = option(
        0,
        SERVER,
        "seed of everything random: processing times, ids, probabilities, history order",
        runtime=False,
    )
    time_scale: float = option(
        1.0,
        SERVER,
        "every duration of the vendor's (processing, link lifetime, minute, day) passes so many times "
        "as fast; timestamps stay those of the wall clock",
        minimum=0.001,
        maximum=1_000_000,
    )

    api_key: str = option(
        "veo3_emulator_key", ACCOUNT, "its key, which begins with veo3_", runtime=False, check=check_key
    )
    credits: int = option(10_000, ACCOUNT, "its credits at the start", minimum=0, runtime=False)

    requests_per_minute: int | None = option(60, LIMITS, "requests per minute, or 'off'", minimum=1)
    requests_per_day: int | None = option(1000, LIMITS, "requests per day, or 'off'", minimum=1)
    concurrent_requests: int | None = option(10, LIMITS, "requests at the same time, or 'off'", minimum=1)
    queue_limit: int | None = option(
        5, LIMITS, "videos queued and in generation at the same time, or 'off'", minimum=1
    )
    limits_of: str = option(
        "key",
        LIMITS,
        "whose requests and videos count: a key's, as a page says of the minute, or an account's",
        choices=("key", "account"),
    )
    rate_window: str = option(
        "first-request",
        LIMITS,
        "when a minute begins: with the first request of a key, aligned to the clock, or sliding",
        choices=("first-request", "aligned", "sliding"),
    )
    day_window: str = option(
        "aligned",
        LIMITS,
        "when a day begins: with the first request of a key, aligned to midnight UTC, or sliding",
        choices=("first-request", "aligned", "sliding"),
    )

    processing_seconds: str | float = option(
        TYPICAL,
        GENERATION,
        "how long generations take from acceptance to the end: typical = the model's published time +-25%; "
        "or seconds (90); or a range (60-120)",
        check=_processing,
    )
    pending_seconds: float = option(
        2.0, GENERATION, "how much of that they are pending before they start", minimum=0, maximum=YEAR
    )
    rendering_at_once: int | None = option(
        None,
        GENERATION,
        "how many of one account are in generation at once, others stay pending; or 'off'",
        minimum=1,
    )

    height: int = option(
        720,
        FILES,
        "short side of the picture in pixels; small values render faster",
        minimum=32,
        maximum=2160,
        check=_even,
    )
    file_size: int | None = option(
        None,
        FILES,
        "serve files of exactly so many bytes (a valid MP4 header, then noise) instead of rendering",
        minimum=64,
    )
    link_lifetime_seconds: float = option(
        86_400.0, FILES, "how long a file URL works (divided by the time scale)", minimum=0, maximum=YEAR
    )

    def __post_init__(self) -> None:
        """Refuse values that no option allows."""
        for name, (rules, kind, _) in options_of(type(self)).items():
            object.__setattr__(self, name, checked(name, getattr(self, name), rules, kind))

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """The settings after changes at run time."""
        return dataclasses.replace(self, **read_changes(type(self), changes))

    def scaled(self, vendor_seconds: float) -> float:
        """How long one of the vendor's durations takes here."""
        return vendor_seconds / self.time_scale
