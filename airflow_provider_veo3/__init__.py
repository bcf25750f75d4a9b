"""Apache Airflow provider for the VEO3 video generation API.

The house, top floor first; imports run downward only::

    decorators/                   ``@task.veo3_text_to_video``
    operators/ sensors/           tasks: parameters, templates, deferral, XComs, asset events, lineage
    retry_policy                  retries that come when the API says, or not at all
    triggers/                     what a triggerer runs, and the events that bring a task back
    submission/                   one generation per task, paid for once: record, reconcile, claim, back off
    polling/                      one poller for every task that waits on a connection
    links                         XComs that tasks publish, and the links in Airflow's UI that read them
    storage/                      files: streamed, resumed, checked, visible only when whole
    hooks/                        an Airflow connection becomes a transport
    history/                      one reader of the account's history: lost responses, lists, completions
    metrics                       numbers for Airflow's metrics
    api/                          the protocol; knows nothing of Airflow
    parameters                    types and checks of parameters that a DAG file sets
    exceptions                    the error tree

``emulator/`` is a local VEO3 API: it imports none of the above, nor they it.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """Describe the provider to Airflow (entry point ``apache_airflow_provider``)."""
    from airflow_provider_veo3.hooks.connection_form import CONNECTION_TYPE

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
