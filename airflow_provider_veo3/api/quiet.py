"""Keep signed links out of what the HTTP library logs."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_veo3.api.redact import redact_text, redact_url

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGERS = ("urllib3.connection", "urllib3.connectionpool")
"""Who tells of a request: the latter of each, the former of one whose answer has headers it cannot read."""


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
