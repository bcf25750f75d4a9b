"""Apache Airflow provider for the VEO3 video generation API.

Where what is; imports run downward::

    operators/ sensors/ decorators/    what a DAG file names: parameters, templates, deferral, XComs
    retry_policy                       ... and for its retries
    attempt returned                   an attempt of a generating task: let in, or deferred
    triggers/ resuming                 what a triggerer runs, and how a task goes on from it
    exactly_once submission memory     one generation for each task, paid for once
    claims admission                   ... though others want the same, or the API refuses for now
    watching completed history         what an account completes, and has completed
    assets lineage links               what Airflow is told and shows
    poller schedule questions seat     one look for everyone who waits on a connection
    listing waiting pace cancelling    ... which pages it reads, what they mean for each, when it is worth it
    images storage/                    files: where they are read from and stored
    hooks/                             an Airflow connection becomes a transport
    spending metrics                   what a generation may cost; what is counted
    api/                               the protocol: knows nothing of Airflow
    arguments templated                what DAG files are read with: no HTTP, no API
    connection_form exceptions         ... and everyone: the fields of a connection, the error tree
    emulator/                          a local VEO3: imports none of the above, nor they it
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """Describe the provider to Airflow (entry point ``apache_airflow_provider``)."""
    from airflow_provider_veo3.connection_form import CONNECTION_TYPE

    package = __name__
    integration = "VEO3"
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
        "connection-types": [CONNECTION_TYPE],
        "extra-links": [
            f"{package}.links.Veo3GenerationLink",
            f"{package}.links.Veo3StoredVideoLink",
        ],
    }
