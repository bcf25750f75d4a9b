"""Video files of tasks: rendered, or stand-ins of a fixed size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_provider_veo3.emulator.http.response_bodies import Body, FileBody, NoiseBody
from airflow_provider_veo3.emulator.video.scene import Script

if TYPE_CHECKING:
    from airflow_provider_veo3.emulator.service.tasks import Task
    from airflow_provider_veo3.emulator.video.store import VideoStore


def start_rendering(store: VideoStore, task: Task) -> None:
    """Start to render all videos of an accepted task in the background."""
    if task.file_size is None and task.failure is None:
        for index in range(task.samples):
            store.render(_script(task, index))


async def video_body(store: VideoStore, task: Task, index: int) -> Body:
    """Return a video of a task, after the end of its rendering."""
    if task.file_size is not None:
        return NoiseBody(task.file_size, task.file_layout)
    return FileBody(await asyncio.wrap_future(store.render(_script(task, index))))


def _script(task: Task, index: int) -> Script:
    parameters = task.parameters
    return Script(
        task_id=task.id,
        index=index,
        prompt=parameters.prompt,
        model=parameters.model.id,
        seed=parameters.seed,
        seconds=parameters.duration,
        portrait=parameters.aspect_ratio == "9:16",
        height=task.height,
        audio=parameters.audio,
        pictures=tuple(upload.picture for upload in task.uploads),
    )
