"""DAGs of campaigns at the vendor's limits, and of sensors in the triggerer."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

RETRIES = {"retries": 2, "retry_delay": timedelta(hours=1)}  # a run with a retry does not end in time
WHOLE = {"wait_for_completion": True, "deferrable": True, **RETRIES}


POOLED = 7  # more than the slots of the pool
UNPOOLED = 7  # more than the vendor's queue, and than a triggerer has capacity for


@task
def received(value: object) -> object:
    """Return the XCom of the task before."""
    return value


@task
def listed(value: str) -> list[str]:
    """Return a list of one value."""
    return [value]


with DAG("pooled", schedule=None):
    Veo3TextToVideoOperator.partial(
        task_id="generate", pool="queue", veo3_conn_id="veo3_pooled", **WHOLE
    ).expand(prompt=[f"Pooled {number}" for number in range(POOLED)])

with DAG("unpooled", schedule=None):
    Veo3TextToVideoOperator.partial(task_id="generate", veo3_conn_id="veo3_unpooled", **WHOLE).expand(
        prompt=[f"Unpooled {number}" for number in range(UNPOOLED)]
    )

with DAG("from_trigger", schedule=None):
    common = {"veo3_conn_id": "veo3_alone", "start_from_trigger": True}
    submit = Veo3TextToVideoOperator(task_id="submit", prompt="Alone", veo3_conn_id="veo3_alone")
    wait = Veo3GenerationSensor(task_id="wait", generation_id=submit.output, **common, **RETRIES)
    received(wait.output)
    template = Veo3GenerationSensor(
        task_id="template", generation_id="{{ ti.xcom_pull('submit') }}", **common
    )
    # only a worker knows the start date of the task
    late = Veo3GenerationSensor(
        task_id="late", generation_id="{{ ti.xcom_pull('submit') if ti.start_date.year }}", **common
    )
    submit >> [template, late]
    unknown = "veo_1703123456789_abc123def"
    Veo3GenerationSensor(task_id="unknown", generation_id=unknown, **common)
    Veo3GenerationSensor(task_id="unknown_with_retries", generation_id=unknown, **common, **RETRIES)
    Veo3GenerationSensor(task_id="unknown_skipped", generation_id=unknown, soft_fail=True, **common)
    Veo3GenerationSensor(task_id="nothing", generation_id="{{ ti.xcom_pull('unknown') }}", **common)
    Veo3GenerationSensor(task_id="broken", generation_id="{{ 1 // 0 }}", **common)
    Veo3GenerationSensor.partial(task_id="mapped", **common).expand(generation_id=listed(submit.output))
