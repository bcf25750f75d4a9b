"""Options that a decorated function returned, kept for the retries of its task."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import logging
import re
import textwrap
import time
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.exceptions import Veo3StateError, shown
from airflow_provider_veo3.links import PATIENCE, patiently
from airflow_provider_veo3.parameters import OPTIONS
from airflow_provider_veo3.submission.decisions import Step, first_step
from airflow_provider_veo3.submission.store import RETENTION, Attempt, record_store

if TYPE_CHECKING:
    from airflow_provider_veo3.airflow_names import Context
    from airflow_provider_veo3.api.clock import Clock

log = logging.getLogger(__name__)

RETURNED_KEY: Final = "veo3_returned"
"""Key in the task state store; before Airflow 3.3, of an XCom, which outlives a deferral but no attempt."""

_ADDRESS: Final = re.compile(r" at 0x[0-9A-Fa-f]+")
"""Memory address in Python's default representation of an object."""


class RememberedOptions:
    """Options that the function of one task instance returned.

    :param context: context of the attempt at hand.
    :param function: the decorated function; options of an edited function are not reused.
    :param op_args: its arguments, rendered; options for other arguments are not reused.
    :param op_kwargs: its keyword arguments, likewise.
    :param durable: whether the options outlive the attempt.
    :param patience: seconds for which they are read and written again while Airflow's API is away.
    """

    def __init__(
        self,
        context: Context,
        function: Callable[..., Any],
        op_args: Collection[Any],
        op_kwargs: Mapping[str, Any],
        *,
        durable: bool,
        clock: Clock = time,
        patience: float = PATIENCE,
    ) -> None:
        self._context = context
        self._durable = durable
        self._patiently = partial(patiently, clock=clock, patience=patience)
        self._state = context.get("task_state_store") if durable else None
        call = [_source(function), list(op_args), dict(op_kwargs)]
        self._identity = hashlib.sha256(_canonical(call).encode()).hexdigest()

    def recall(self, *, after_backoff: bool) -> dict[str, Any] | None:
        """Return the kept options; ``None`` to call the function.

        :param after_backoff: whether this attempt continues after a rate-limit back-off. Otherwise only
            options that may have been accepted are kept: a refused request may get other options.
        :raises Veo3StateError: the options cannot be read, which does not mean that there are none.
        """
        kept = self._read()
        if not isinstance(kept, Mapping) or kept.get("version") != 1:
            return None
        if kept.get("identity") != self._identity:
            return None
        options = kept.get("options")
        if not isinstance(options, dict) or "prompt" not in options or not options.keys() <= set(OPTIONS):
            # a person can edit it, and must not reach other attributes of the operator by it
            raise Veo3StateError(
                f"The task's state {RETURNED_KEY!r} cannot be used: {shown(options)}. An earlier attempt may "
                "have paid for a generation, so nothing was submitted. Find the generation in the account's "
                "history, then delete the value."
            )
        return options if after_backoff or self._may_have_been_accepted() else None

    def keep(self, options: Mapping[str, Any]) -> None:
        """Keep the options, before anything is sent.

        :raises Veo3StateError: the options cannot be written; nothing was sent.
        """
        # as JSON, which the store takes: a tuple among the extra options becomes a list
        plain = json.loads(json.dumps(dict(options), default=dict))
        self._write({"version": 1, "identity": self._identity, "options": plain})

    def forget(self) -> None:
        """Let the next attempt call the function."""
        try:
            self._write({})
        except Veo3StateError as error:
            log.warning("%s A later attempt asks for the same video.", error)

    def _may_have_been_accepted(self) -> bool:
        record = record_store(self._context, durable=self._durable).load("")
        if record is None:
            return False
        max_tries = Attempt.of(self._context).max_tries
        return first_step(record, record.fingerprint, max_tries) is not Step.SUBMIT

    def _read(self) -> Any:
        if self._state is None:
            ti = self._context["ti"]
            pull = partial(ti.xcom_pull, task_ids=ti.task_id, key=RETURNED_KEY, map_indexes=ti.map_index)
            return self._patiently(pull)
        try:
            return self._patiently(partial(self._state.get, RETURNED_KEY))
        except Exception as error:
            raise Veo3StateError(
                f"The task's state cannot be read ({error}), so it is not known what the function returned "
                "to an earlier attempt, which may have paid. Nothing was submitted; a retry reads it again."
            ) from error

    def _write(self, value: dict[str, Any]) -> None:
        if self._state is None:
            self._patiently(partial(self._context["ti"].xcom_push, key=RETURNED_KEY, value=value))
            return
        try:
            self._patiently(partial(self._state.set, RETURNED_KEY, value, retention=RETENTION))
        except Exception as error:
            raise Veo3StateError(
                f"The task's state cannot be written ({error}); without it a retry could ask for another "
                "video and pay twice. Nothing was submitted; a retry tries again."
            ) from error


def _source(function: Callable[..., Any]) -> str:
    """Return the function's code without decorators, comments and layout, which ask for no other video."""
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


def _canonical(call: list[Any]) -> str:
    """Return arguments as text that is the same in every process."""
    for in_order in (True, False):
        try:
            return json.dumps(call, default=_plain, skipkeys=True, sort_keys=in_order)
        except TypeError:  # names of several kinds have no order
            continue
        except (ValueError, RecursionError):  # an argument that contains itself
            break
    return _ADDRESS.sub("", ascii(call))


def _plain(value: object) -> Any:
    if isinstance(value, Set):
        return sorted(map(_shown, value))
    # Airflow hands over the ids of a mapped task as a sequence that reads lazily
    return list(value) if isinstance(value, Sequence) and not isinstance(value, bytes) else _shown(value)


def _shown(value: object) -> str:
    return _ADDRESS.sub("", repr(value))
