"""Keep keys and signed links out of everything a person may read."""

from __future__ import annotations

import re

_KEY = re.compile(r"veo3_[A-Za-z0-9_\-]{3,}")
_QUERY = re.compile(r"(?<=[\w/])\?[^\s\"'<>\\]*=[^\s\"'<>\\]*")

BODY_LIMIT = 500
"""Characters of a raw answer that an error keeps."""


def redact_url(url: str) -> str:
    """Cut the query string, which holds the signature, off a URL."""
    path, mark, _ = url.partition("?")
    return f"{path}?..." if mark else path


def redact_text(text: str, *secrets: str) -> str:
    """Remove keys, the given secrets and the query of every link, and cut the rest to ``BODY_LIMIT``."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _QUERY.sub("?...", _KEY.sub("***", text))
    return text if len(text) <= BODY_LIMIT else f"{text[:BODY_LIMIT]}..."
