"""Apache Airflow provider for the VEO3 video generation API.

The house, top floor first; imports run downward only::

    __main__                      ``python -m airflow_provider_veo3``
    cli/                          commands for a terminal: models, history, store, estimate
    plugins/                      the videos in Airflow's UI: page, routes, data, media
    decorators/                   ``@task.veo3_text_to_video``
    operators/ sensors/           tasks: parameters, templates, deferral, XComs, asset events, lineage
    retry_policy                  retries that come when the API says, or not at all
    triggers/                     what a triggerer runs, and the events that bring a task back
    submission/                   one generation per task, paid for once: record, reconcile, claim, back off
    polling/                      one poller for every task that waits on a connection
    links                         XComs that tasks publish, and the links in Airflow's UI that read them
    storage/                      videos stored: streamed, checked, whole; images and lists of prompts read
    hooks/                        an Airflow connection becomes a transport
    history/                      one reader of the account's history: lost responses, lists, completions
    metrics                       numbers for Airflow's metrics
    api/                          the protocol, proxies and certificates; knows nothing of Airflow
    parameters                    types and checks of parameters that a DAG file sets
    exceptions                    the error tree
    airflow_names                 names of Airflow that moved between its versions

``emulator/`` is a local VEO3 API: it imports none of the above, nor they it.
"""

from __future__ import annotations

from typing import Any, Final

__version__ = "0.2.0"

DEFAULT_POLL_INTERVAL: Final = 10
"""Seconds between two polls of a generation where neither task nor connection sets them."""

_CONFIG: Final[dict[str, Any]] = {
    "veo3": {
        "description": "The Videos page in Airflow's UI.",
        "options": {
            "gallery_locations": {
                "description": (
                    "Folders whose videos the page plays, separated by commas: URIs as the destinations of\n"
                    "downloads name them, connection included. The API server opens no file outside.\n"
                    "Every person who may edit an XCom can watch every video in these folders.\n"
                ),
                "version_added": "0.2.0",
                "type": "string",
                "example": "s3://aws_default@my-bucket/videos/, file:///shared/videos/",
                "default": "",
            },
            "gallery_run_tab": {
                "description": (
                    "Whether each DAG run has a tab with its videos. Unset, there is one since Airflow 3.4,\n"
                    "limited to DAGs with the tag ``veo3``; earlier versions would show it on every DAG.\n"
                ),
                "version_added": "0.2.0",
                "type": "boolean",
                "example": "True",
                "default": None,
            },
        },
    }
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description for Airflow (entry point ``apache_airflow_provider``).

    Airflow 3.2 and later draw the connection form from it; ``hooks/connection_form.py`` draws the same fields
    for 3.0 and 3.1, and ``hooks/connection.py`` reads and checks them.
    It has no ``documentation-url``, since the docs have no address.
    """
    package = __name__
    integration = "VEO3"
    connection_type = {
        "connection-type": "veo3",
        "hook-name": "VEO3",
        "hook-class-name": f"{package}.hooks.veo3.Veo3Hook",
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
                "description": "Seconds to wait for the API to connect and to respond. Default 30.",
                "schema": {"type": ["number", "null"], "default": 30, "minimum": 1, "maximum": 600},
            },
            "requests_per_minute": {
                "label": "Requests per minute",
                "description": "Requests that one process sends in a minute. Default 60, the vendor's limit.",
                "schema": {
                    "type": ["integer", "null"],
                    "default": 60,
                    "minimum": 1,
                    "maximum": 100000,
                },
            },
            "poll_interval": {
                "label": "Poll interval",
                "description": "Seconds between two polls of a generation, unless a task sets them. "
                f"Default {DEFAULT_POLL_INTERVAL}.",
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
    return {
        "package-name": "airflow-provider-veo3",
        "name": "VEO3",
        "description": "Generate videos with the VEO3 API: pay once, store every video whole.",
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://www.veo3gen.co/docs/endpoints",
                "tags": ["service", "ai"],
            }
        ],
        "hooks": [{"integration-name": integration, "python-modules": [f"{package}.hooks.veo3"]}],
        "operators": [
            {
                "integration-name": integration,
                "python-modules": [
                    f"{package}.operators.generate",
                    f"{package}.operators.download",
                    f"{package}.operators.history",
                ],
            }
        ],
        "sensors": [{"integration-name": integration, "python-modules": [f"{package}.sensors.generation"]}],
        "triggers": [
            {
                "integration-name": integration,
                "python-modules": [
                    f"{package}.triggers.generation",
                    f"{package}.triggers.backoff",
                    f"{package}.triggers.sensor",
                    f"{package}.triggers.completed",
                ],
            }
        ],
        "task-decorators": [
            {
                "name": "veo3_text_to_video",
                "class-name": f"{package}.decorators.generate.veo3_text_to_video_task",
            }
        ],
        "connection-types": [connection_type],
        "cli": [f"{package}.cli.definition.get_veo3_cli_commands"],
        "extra-links": [
            f"{package}.links.Veo3VideosLink",
            f"{package}.links.Veo3StoredVideoLink",
        ],
        "config": _CONFIG,
    }
