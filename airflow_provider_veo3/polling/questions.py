"""What a look asks the API, and what comes back."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from airflow_provider_veo3.api.models import Generation, HistoryPage
from airflow_provider_veo3.exceptions import Veo3Error
from airflow_provider_veo3.history.pages import Page


@dataclass(frozen=True)
class One:
    """A question: how does this generation stand?"""

    generation_id: str


Question = Page | One
Answer = HistoryPage | Generation | Veo3Error
Look = Generator[Question, tuple[Answer, float], None]
"""One look at everybody: yields questions, is sent each answer with the time it came, in Unix seconds."""
