"""Keep keys and signed links out of everything a person may read."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY = re.compile(r"veo3_[^\s\"'<>\\,;&]{3,}")
# JSON may write the & between two parameters as \u0026, so that a backslash does not end a query
_QUERY = re.compile(r"(?<=\S)\?[^\s\"'<>?]*=[^\s\"'<>]*")

BODY_LIMIT = 500
"""Characters of a raw answer that an error keeps."""

_READ = 8 * BODY_LIMIT
"""Characters that are looked at: a hostile answer must not cost more."""

_LOGGERS = ("urllib3.connection", "urllib3.connectionpool")
"""Loggers that print a request's URL; the first does for an answer whose headers it cannot read."""


def redact_url(url: str) -> str:
    """Cut the query string, which holds the signature, and a password off a URL."""
    path, mark, _ = url.partition("?")
    path = re.sub(r"(?<=//)[^/]*@", "***@", path, count=1)
    return f"{path}?..." if mark else path


def redact_text(text: str, *secrets: str) -> str:
    """Remove keys, the given secrets and the query of every link, and cut the rest to ``BODY_LIMIT``."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    whole, text = len(text) <= _READ, text[:_READ]
    text = _QUERY.sub("?...", _KEY.sub("***", text))
    return text if whole and len(text) <= BODY_LIMIT else f"{text[:BODY_LIMIT]}..."


@contextmanager
def queries_kept_from_log() -> Iterator[None]:
    """Cut the query off every link that these loggers tell meanwhile."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    own = _Redaction()  # of each who asks: a logger takes the same one only once
    for logger in loggers:
        logger.addFilter(own)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(own)


class _Redaction(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without queries."""
        if isinstance(record.args, tuple):
            record.args = tuple(redact_url(arg) if isinstance(arg, str) else arg for arg in record.args)
        record.msg, record.args = redact_text(record.getMessage()), ()
        record.exc_info = None  # it repeats what could not be read
        return True
