"""Redaction of keys and signed links in everything that a person may read."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY: Final = re.compile(r"veo3_[^\s\"'<>\\,;&]{3,}")
# JSON may write the & between two parameters as \u0026, so that a backslash does not end a query
_QUERY: Final = re.compile(r"(?<=\S)\?[^\s\"'<>?]*=[^\s\"'<>]*")

BODY_LIMIT: Final = 500
"""Characters of a raw response body that an error keeps."""

_SCAN_LIMIT: Final = 8 * BODY_LIMIT
"""Characters of a text that are scanned, so that a hostile response costs no more."""

_LOGGERS: Final = ("httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")
"""Loggers that print headers, of which ``Location`` may hold a signed link."""


def redact_url(url: str) -> str:
    """Return a URL without its query string, which holds the signature, and without a password."""
    path, mark, _ = url.partition("?")
    path = re.sub(r"(?<=//)[^/]*@", "***@", path, count=1)
    return f"{path}?..." if mark else path


def redact_text(text: str, *secrets: str) -> str:
    """Return a text without keys, secrets and link queries, cut to ``BODY_LIMIT``.

    :param secrets: further texts to remove.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    whole, text = len(text) <= _SCAN_LIMIT, text[:_SCAN_LIMIT]
    text = _QUERY.sub("?...", _KEY.sub("***", text))
    return text if whole and len(text) <= BODY_LIMIT else f"{text[:BODY_LIMIT]}..."


@contextmanager
def redacted_logs() -> Iterator[None]:
    """Redact links in the log records of httpcore meanwhile."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    own = _Redaction()  # one per caller: a logger adds the same filter only once
    for logger in loggers:
        logger.addFilter(own)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(own)


class _Redaction(logging.Filter):
    """Log filter that passes every record on, redacted."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact a record."""
        if isinstance(record.args, tuple):
            record.args = tuple(redact_url(arg) if isinstance(arg, str) else arg for arg in record.args)
        record.msg, record.args = redact_text(record.getMessage()), ()
        record.exc_info = None  # it repeats what could not be read
        return True
