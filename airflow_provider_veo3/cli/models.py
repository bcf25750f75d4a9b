"""The command ``models``: models and prices."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from airflow_provider_veo3.cli.console import Console
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook


def run(arguments: argparse.Namespace, hook: Veo3Hook, console: Console) -> bool:
    """Print the models that the API offers, with their prices."""
    models = hook.list_models()
    if arguments.output == "json":
        console.json([dataclasses.asdict(model) for model in models])
        return True
    console.table(
        ("id", "credits", "without sound", "name", "capabilities"),
        [
            (
                model.id,
                model.credits_per_video,
                model.credits_per_video_no_audio,
                model.name,
                ", ".join(model.capabilities),
            )
            for model in models
        ],
        shorten_last=True,
    )
    return True
