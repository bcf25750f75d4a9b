"""The connection's form, once, for every Airflow version; imports nothing, since Airflow reads it at start.

Airflow 3.2 and later draw the form from ``CONNECTION_TYPE``; 3.0 and 3.1 ask the hook, which renders the
same constant.
"""

from __future__ import annotations

from typing import Any, Final

DEFAULT_POLL_INTERVAL: Final = 10
"""Seconds between two looks at a generation where neither task nor connection says."""

CONNECTION_TYPE: Final[dict[str, Any]] = {
    "connection-type": "veo3",
    "hook-name": "VEO3",
    "hook-class-name": "airflow_provider_veo3.hooks.veo3.Veo3Hook",
    "ui-field-behaviour": {
        "hidden-fields": ["login"],
        "relabeling": {"password": "API key", "host": "Base URL", "schema": "Scheme"},
        "placeholders": {
            "password": "veo3_...",
            "host": "https://api.veo3gen.co",
            "schema": "https",
            "port": "443",
        },
    },
    "conn-fields": {
        "request_timeout": {
            "label": "Request timeout",
            "description": "Seconds to wait for the API to connect and to answer. Default 30.",
            "schema": {"type": ["number", "null"], "default": 30, "minimum": 1, "maximum": 600},
        },
        "requests_per_minute": {
            "label": "Requests per minute",
            "description": "Requests one process sends in a minute. Default 60, the vendor's limit.",
            "schema": {"type": ["integer", "null"], "default": 60, "minimum": 1, "maximum": 100000},
        },
        "poll_interval": {
            "label": "Poll interval",
            "description": "Seconds between two looks at a generation where a task does not say. Default 10.",
            "schema": {
                "type": ["number", "null"],
                "default": DEFAULT_POLL_INTERVAL,
                "minimum": 1,
                "maximum": 3600,
            },
        },
        "first_frame_field": {
            "label": "First frame field",
            "description": "Name of the form field for the first frame's file. Default firstFrame.",
            "schema": {"type": ["string", "null"], "default": "firstFrame", "minLength": 1},
        },
        "last_frame_field": {
            "label": "Last frame field",
            "description": "Name of the form field for the last frame's file. Default lastFrame.",
            "schema": {"type": ["string", "null"], "default": "lastFrame", "minLength": 1},
        },
    },
}
"""Range, default and wording of each field of the connection, for the form and for reading it back."""
