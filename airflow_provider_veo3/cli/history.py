"""The command ``history``: generations of the account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.api.retries import Retries
from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.history.pages import reading_flow
from airflow_provider_veo3.history.query import parse_query, select

if TYPE_CHECKING:
    import argparse

    from airflow_provider_veo3.api.models import Generation
    from airflow_provider_veo3.cli.console import Console
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook


def run(arguments: argparse.Namespace, hook: Veo3Hook, console: Console) -> bool:
    """Print the generations that match the arguments, the oldest first."""
    found = select_generations(arguments, arguments.status, hook)
    if arguments.output == "json":
        console.json([_as_json(generation) for generation in found])
        return True
    console.table(
        ("created", "id", "status", "model", "credits", "prompt"),
        [
            (each.created_at, each.id, each.status, each.model, each.credits_used, each.prompt)
            for each in found
        ],
        shorten_last=True,
    )
    return True


def select_generations(arguments: argparse.Namespace, status: str | None, hook: Veo3Hook) -> list[Generation]:
    """Return the generations of a window of time, the oldest first.

    :param arguments: with ``since``, ``until``, ``model`` and ``limit``.
    :raises Veo3ValidationError: the window ends before it begins.
    :raises Veo3ApiError: the history could not be read.
    """
    since, until = arguments.since, arguments.until
    if since and until and since >= until:
        raise Veo3ValidationError(
            f"--since is {since.isoformat()}, which is not before --until, {until.isoformat()}. Nothing was "
            "requested or spent. Give a window that begins before it ends."
        )
    query = parse_query(
        status=status,
        since=since,
        until=until,
        model=arguments.model,
        limit=arguments.limit,
        now=datetime.now(UTC),
    )
    return hook.get_conn().run(reading_flow(select(query), hook.settings.base_url, Retries()))


def _as_json(generation: Generation) -> dict[str, Any]:
    return {
        "id": generation.id,
        "status": generation.status.value,
        "type": generation.type,
        "model": generation.model,
        "prompt": generation.prompt,
        "credits_used": generation.credits_used,
        "created_at": generation.created_at.isoformat() if generation.created_at else None,
        "completed_at": generation.completed_at.isoformat() if generation.completed_at else None,
        "video_count": generation.video_count,
        "error_code": generation.error_code,
        "error": generation.error,
    }
