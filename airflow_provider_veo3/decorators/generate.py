"""``@task.veo3_text_to_video``: a task whose function returns the prompt."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_provider_veo3.airflow_names import (
    DecoratedOperator,
    determine_kwargs,
    task_decorator_factory,
)
from airflow_provider_veo3.exceptions import Veo3GenerationRefusedError, Veo3ValidationError, shown
from airflow_provider_veo3.operators.generate import Veo3TextToVideoOperator
from airflow_provider_veo3.parameters import OPTIONS

if TYPE_CHECKING:
    from airflow_provider_veo3.airflow_names import Context, TaskDecorator
    from airflow_provider_veo3.decorators._remembered import RememberedOptions
    from airflow_provider_veo3.polling.result import WaitResult
    from airflow_provider_veo3.submission.rate_limit import RateLimitBackoff

_ALLOWED: Final = f"a prompt (text), or a mapping with 'prompt' and any of: {', '.join(OPTIONS[1:])}"


class _DecoratedTextToVideoOperator(DecoratedOperator, Veo3TextToVideoOperator):
    """Operator behind :func:`veo3_text_to_video_task`."""

    custom_operator_name = "@task.veo3_text_to_video"
    # a returned prompt is no template: its braces are its own
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in Veo3TextToVideoOperator.template_fields if name != "prompt"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **Veo3TextToVideoOperator.template_fields_renderers,
    }

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        _check_arguments(kwargs)
        if inspect.iscoroutinefunction(python_callable):
            raise Veo3ValidationError.of("function", python_callable, "a plain function, not an async one")
        # the function's annotation may say that it returns a mapping, but the task returns an id
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            prompt="",
            **kwargs | {"multiple_outputs": False},
        )

    def execute(self, context: Context) -> str:
        """Submit the generation, and wait for it if ``wait_for_completion`` is set."""
        # not that of DecoratedOperator, which in Airflow 3.0 ends well for Python operators only
        return Veo3TextToVideoOperator.execute(self, context)

    def _attempt(self, context: Context, backoff: RateLimitBackoff) -> str:
        """Get the options from the function, or from an earlier attempt, then generate."""
        remembered = self._remembered(context)
        kept = remembered.recall(after_backoff=backoff.refusals > 0)
        if kept is None:
            options = self._call(context)
            self._set(options)
            self._request()  # nothing is kept that could not be sent
            remembered.keep(options)
        else:
            self.log.info("Reusing what %s() returned before; the function is not called again.", self._name)
            self._set(kept)
        self.log.info("%s() returned the prompt %r.", self._name, self.prompt)
        return super()._attempt(context, backoff)

    def _finish(self, context: Context, result: WaitResult) -> str:
        try:
            return super()._finish(context, result)
        except Veo3GenerationRefusedError:
            # the same prompt would be refused again, also for the person who clears the task
            self._remembered(context).forget()
            raise

    def _remembered(self, context: Context) -> RememberedOptions:
        from airflow_provider_veo3.decorators._remembered import RememberedOptions
        from airflow_provider_veo3.submission.decisions import PRODUCTION

        return RememberedOptions(
            context,
            self.python_callable,
            self.op_args,
            self.op_kwargs,
            durable=self.durable,
            clock=self.clock,
            patience=(self.timings or PRODUCTION).airflow_patience,
        )

    def _call(self, context: Context) -> Mapping[str, Any]:
        """Call the function, and return its options by the operator's names."""
        known = {**context, **self.op_kwargs}
        kwargs = determine_kwargs(self.python_callable, self.op_args, known)
        value = self.python_callable(*self.op_args, **kwargs)
        if isinstance(value, str):
            return {"prompt": value}
        if not isinstance(value, Mapping) or not value:
            raise Veo3ValidationError.of(f"{self._name}()", value, _ALLOWED)
        for name in value:
            if name not in OPTIONS:
                raise Veo3ValidationError.of(f"{self._name}()[{shown(name)}]", value[name], _ALLOWED)
        if "prompt" not in value:
            raise Veo3ValidationError.of(f"{self._name}()['prompt']", None, _ALLOWED)
        return value

    def _set(self, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            setattr(self, name, value)

    @property
    def _name(self) -> str:
        return getattr(self.python_callable, "__name__", "the function")


def _check_arguments(kwargs: Mapping[str, Any]) -> None:
    if "prompt" in kwargs:
        raise Veo3ValidationError.of("prompt", kwargs["prompt"], "nothing here: the function returns it")
    if kwargs.get("multiple_outputs"):
        raise Veo3ValidationError.of("multiple_outputs", True, "False: the task returns one generation id")


def veo3_text_to_video_task(
    python_callable: Callable[..., Any] | None = None, **kwargs: Any
) -> TaskDecorator:
    """Make a function that returns a prompt into a task that generates its video.

    The function returns the prompt as text, or a mapping with ``prompt`` and any of the operator's options of
    the video, from ``model`` to ``extra_options``, by their names. The returned values are used as they are
    and not rendered as templates; the function's arguments are rendered. Everything else is as with
    :class:`~airflow_provider_veo3.operators.generate.Veo3TextToVideoOperator`: the task returns the id of the
    generation, and ``expand``, waiting, deferral, retries, XComs and links are the same.

    The function is called once for each video. Its return value is kept in the task's state before anything
    is sent (Airflow 3.3 and later), so that a retry reuses the video that was paid for even if the function
    would return another prompt by now. The function is called again where nothing was accepted, where the
    content was refused, and where a person clears a task that had succeeded or changes the function or its
    arguments. Before Airflow 3.3, and with ``durable=False``, each attempt calls it, and another prompt is
    another video, paid for again: there, let an earlier task make the prompt, and pass it as an argument.

    :param python_callable: the function, a plain one.
    :param kwargs: every parameter of the operator, except ``prompt``.
    :raises Veo3ValidationError: when the DAG is read, for an argument that makes no sense here; when the task
        runs, for a returned value, option name or option that is not acceptable. Nothing was sent.
    """
    _check_arguments(kwargs)
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=False,
        decorated_operator_class=_DecoratedTextToVideoOperator,
        **{name: value for name, value in kwargs.items() if name != "multiple_outputs"},
    )
