"""The command ``estimate``: price of a list of prompts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.api.pricing import price_of
from airflow_provider_veo3.api.request import DEFAULT_MODEL
from airflow_provider_veo3.exceptions import REASON_LENGTH, Veo3ValidationError, shown, shown_text
from airflow_provider_veo3.storage.prompts_file import OPTION_COLUMNS, PromptsFile

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from airflow_provider_veo3.api.models import VideoModel
    from airflow_provider_veo3.api.request import GenerationRequest
    from airflow_provider_veo3.cli.console import Console
    from airflow_provider_veo3.hooks.veo3 import Veo3Hook
    from airflow_provider_veo3.storage.prompts_file import PromptRow

STANDARD_INPUT: Final = "-"


@dataclass(frozen=True)
class PricedRow:
    """A row, with its price or the reason why it has none."""

    row: PromptRow
    request: GenerationRequest | None
    """Generation that the row asks for; ``None`` if it is not acceptable."""
    credits: int | None
    """Credits that the generation costs; ``None`` if unknown."""
    error: str | None = None
    """Reason why there is no price."""

    def as_json(self) -> dict[str, Any]:
        """Return the row for other programs."""
        request = self.request
        return {
            "line": self.row.line,
            "prompt": self.row.cells.get("prompt"),
            "model": request and request.model,
            "sample_count": request and request.sample_count,
            "generate_audio": request and request.generate_audio,
            "credits": self.credits,
            "error": self.error,
        }


def run(arguments: argparse.Namespace, hook: Veo3Hook, console: Console) -> bool:
    """Print the price of each row, and the sum; return whether every row has a price."""
    prompts = _read(arguments.file)
    ignored = [column for column in prompts.columns if column not in OPTION_COLUMNS]
    models = hook.list_models()
    rows = [_priced(row, arguments.model or DEFAULT_MODEL, models) for row in prompts.rows]
    failed = [each for each in rows if each.credits is None]
    total = sum(each.credits or 0 for each in rows)
    videos = sum(each.request.sample_count for each in rows if each.request and each.credits is not None)
    if arguments.output == "json":
        # a sum without the failed rows would be taken for the price of all
        console.json(
            {
                "credits": None if failed else total,
                "videos": None if failed else videos,
                "rows": [each.as_json() for each in rows],
                "ignored_columns": ignored,
            }
        )
    else:
        lines: list[tuple[object, ...]] = [
            (
                each.row.line,
                each.credits,
                each.request.sample_count,
                each.request.generate_audio,
                each.request.model,
                each.request.prompt,
            )
            for each in rows
            if each.request and each.credits is not None
        ]
        console.table(
            ("line", "credits", "samples", "sound", "model", "prompt"),
            [*lines, ("total", total, videos, "", "", "")],
            shorten_last=True,
        )
    if ignored:
        console.note(f"Ignored columns, which are no options of a generation: {', '.join(ignored)}.")
    for each in failed:
        console.note(f"{arguments.file} line {each.row.line}: {each.error}")
    if failed:
        console.note(f"Rows without a price, which are not in the total: {len(failed)} of {len(rows)}.")
    return not failed


def _read(file: str) -> PromptsFile:
    if file == STANDARD_INPUT:
        return PromptsFile.parse("standard input", sys.stdin.buffer.read())
    return PromptsFile.read(file)


def _priced(row: PromptRow, model: str, models: Sequence[VideoModel]) -> PricedRow:
    try:
        request = row.request(model=model)  # images do not change the price
    except Veo3ValidationError as error:
        return PricedRow(row, None, None, str(error))
    price = price_of(request, models)
    if price is None:
        listed = ", ".join(each.id for each in models)
        reason = (
            f"The API lists no price for the model {shown(request.model)}. Nothing was submitted or spent. "
            f"Choose one of: {shown_text(listed, REASON_LENGTH)}."
        )
        return PricedRow(row, request, None, reason)
    return PricedRow(row, request, price)
