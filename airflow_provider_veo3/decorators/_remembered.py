"""What a decorated function returned, remembered so that a retry asks for the very same video."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import logging
import re
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.exceptions import Veo3StateError
from airflow_provider_veo3.submission import record as submission
from airflow_provider_veo3.submission.record import Step
from airflow_provider_veo3.submission.store import RETENTION, context_memory, context_task

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

RETURNED_KEY: Final = "veo3_returned"
"""Key in the task state store; where there is none, of an XCom, which outlives a deferral but no attempt."""

_ADDRESS: Final = re.compile(r" at 0x[0-9A-Fa-f]+")
"""Where an object lies in memory, which Python shows of one that has no words of its own."""


class Returned:
    """The memory of one task instance.

    :param context: of the attempt at hand.
    :param function: whose return is remembered: that of an edited function is forgotten.
    :param op_args: its arguments, rendered: that of other arguments is forgotten.
    :param op_kwargs: the same by name.
    :param durable: whether it is to outlive the attempt.
    """

    def __init__(
        self,
        context: Context,
        function: Callable[..., Any],
        op_args: Collection[Any],
        op_kwargs: Mapping[str, Any],
        *,
        durable: bool,
    ) -> None:
        self._context = context
        self._durable = durable
        self._store = context.get("task_state_store") if durable else None
        asked = [_source(function), list(op_args), dict(op_kwargs)]
        self._identity = hashlib.sha256(_in_words(asked).encode()).hexdigest()

    def recall(self, *, again: bool) -> dict[str, Any] | None:
        """Return what to ask for without calling the function; ``None``: call it.

        :param again: whether this attempt goes on after it was refused for now. Otherwise only what may have
            been accepted binds: what certainly was not may be asked for in other words.
        :raises Veo3StateError: it cannot be read, which is not the same as its being absent.
        """
        noted = self._read()
        if not isinstance(noted, Mapping) or noted.get("version") != 1:
            return None
        options = noted.get("options")
        if noted.get("identity") != self._identity or not isinstance(options, dict):
            return None
        return options if again or self._may_have_been_accepted() else None

    def note(self, options: Mapping[str, Any]) -> None:
        """Remember it, before anything is sent.

        :raises Veo3StateError: it cannot be written; nothing was sent.
        """
        # as JSON has it, which is what the store takes: a tuple among the extra options becomes a list
        plain = json.loads(json.dumps(dict(options), default=dict))
        self._write({"version": 1, "identity": self._identity, "options": plain})

    def forget(self) -> None:
        """Let the next attempt call the function."""
        try:
            self._write({})
        except Veo3StateError as error:
            log.warning("%s A later attempt goes on with the same text.", error)

    def _may_have_been_accepted(self) -> bool:
        record = context_memory(self._context, durable=self._durable).load("")
        if record is None:
            return False
        max_tries = context_task(self._context).max_tries
        return submission.first_step(record, record.fingerprint, max_tries) is not Step.SUBMIT

    def _read(self) -> Any:
        if self._store is None:
            ti = self._context["ti"]
            return ti.xcom_pull(task_ids=ti.task_id, key=RETURNED_KEY, map_indexes=ti.map_index)
        try:
            return self._store.get(RETURNED_KEY)
        except Exception as error:
            raise Veo3StateError(
                f"The task's state cannot be read ({error}), so that it is not known what the function "
                "returned to an earlier attempt, which may have paid. Nothing was submitted; a retry reads "
                "it again."
            ) from error

    def _write(self, value: dict[str, Any]) -> None:
        if self._store is None:
            self._context["ti"].xcom_push(key=RETURNED_KEY, value=value)
            return
        try:
            self._store.set(RETURNED_KEY, value, retention=RETENTION)
        except Exception as error:
            raise Veo3StateError(
                f"The task's state cannot be written ({error}). Without it a retry could ask for another "
                "text and pay twice. Nothing was submitted now."
            ) from error


def _source(function: Callable[..., Any]) -> str:
    """Return the function's code, without what asks for no other video: its decorators, comments, layout."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # made at run time, or no Python function
        return ""
    try:
        statement = ast.parse(source).body[0]
    except (SyntaxError, IndexError):  # a part of a statement
        return source
    if isinstance(statement, ast.FunctionDef):
        statement.decorator_list = []
        return ast.unparse(statement)
    lambdas = [each for each in ast.walk(statement) if isinstance(each, ast.Lambda)]
    return ast.unparse(lambdas[0]) if len(lambdas) == 1 else source


def _in_words(asked: list[Any]) -> str:
    """Describe arguments in the same words in every process, as far as they have such."""
    for in_order in (True, False):
        try:
            return json.dumps(asked, default=_plain, skipkeys=True, sort_keys=in_order)
        except TypeError:  # names of several kinds have no order
            continue
        except (ValueError, RecursionError):  # one that contains itself
            break
    return _ADDRESS.sub("", ascii(asked))


def _plain(value: object) -> Any:
    if isinstance(value, Set):
        return sorted(map(_shown, value))
    # what Airflow hands over for the ids of a mapped task is a sequence that reads lazily
    return list(value) if isinstance(value, Sequence) and not isinstance(value, bytes) else _shown(value)


def _shown(value: object) -> str:
    return _ADDRESS.sub("", repr(value))
