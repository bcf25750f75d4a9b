"""The seven endpoints of the API over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from airflow_provider_veo3.emulator.http import wire
from airflow_provider_veo3.emulator.http.exchange import Cut, Endpoint, Exchange
from airflow_provider_veo3.emulator.http.files_app import expired_reply
from airflow_provider_veo3.emulator.http.intake import Submission, read_form, read_json, read_uploads
from airflow_provider_veo3.emulator.http.reply import Reply
from airflow_provider_veo3.emulator.service.catalog import GENERATIONS, TEXT_TO_VIDEO
from airflow_provider_veo3.emulator.service.errors import ApiError, generation_failed, validation_error
from airflow_provider_veo3.emulator.service.faults import TASK, Target
from airflow_provider_veo3.emulator.service.ledger import CUT
from airflow_provider_veo3.emulator.service.parameters import read_parameters
from airflow_provider_veo3.emulator.service.tasks import State
from airflow_provider_veo3.emulator.video.videos import script_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_veo3.emulator.config.settings import Settings
    from airflow_provider_veo3.emulator.service.accounts import Key
    from airflow_provider_veo3.emulator.service.tasks import Task
    from airflow_provider_veo3.emulator.service.world import World
    from airflow_provider_veo3.emulator.video.videos import Videos

MAX_LIMIT = 100
Answer = Callable[[Exchange, "Key"], Awaitable[Reply]]


class Api:
    """Answers API requests.

    :param world: the state of the service.
    :param texts: turns tasks into JSON.
    :param videos: renders what was accepted.
    """

    def __init__(self, world: World, texts: wire.Wire, videos: Videos) -> None:
        self._world = world
        self._texts = texts
        self._videos = videos

    def routes(self) -> list[Route]:
        """The paths of the API."""
        prefix = wire.API_PREFIX
        reads: list[tuple[str, str, Answer]] = [
            ("status", "/status/{task_id}", self._status),
            ("download", "/download/{task_id}", self._download),
            ("history", "/history", self._history),
            ("models", "/models", self._models),
        ]
        return [
            *(Route(f"{prefix}/{kind}", self._endpoint("POST", kind, self._submit)) for kind in GENERATIONS),
            *(Route(prefix + path, self._endpoint("GET", name, answer)) for name, path, answer in reads),
        ]

    def unknown_path(self) -> Endpoint:
        """What answers everywhere else."""

        async def answer(exchange: Exchange) -> Reply:
            exchange.headers = self._world.rate_headers(exchange.secret)
            return self._not_found()

        return Endpoint("unknown", self._start, answer)

    def _not_found(self) -> Reply:
        body = self._world.settings.unknown_path
        if body == "html":
            return Reply.of_bytes(404, "text/html; charset=utf-8", b"<pre>Cannot find this path</pre>")
        if body == "empty":
            return Reply.of_bytes(404, "text/plain", b"")
        return self._refusal(ApiError(404, "NOT_FOUND", "Endpoint not found"))

    def _start(self, request: Request, name: str) -> Exchange:
        return Exchange(self._world, request, name, expired_reply(self._world.settings.expired_url_status))

    def _endpoint(self, method: str, name: str, answer: Answer) -> Endpoint:
        """Wrap an answer with what all endpoints share: key, limits, refusals and headers."""

        async def respond(exchange: Exchange) -> Reply:
            try:
                if exchange.request.method != method:
                    return self._not_found()
                key = self._world.enter(exchange.endpoint, exchange.secret)
                try:
                    self._check_content_type(exchange.request)
                    reply = await answer(exchange, key)
                finally:
                    self._world.leave(key)
            except ApiError as error:
                exchange.note = error.code
                reply = self._refusal(error)
            finally:
                # Faults and cuts pass through here too: the headers are on every answer.
                exchange.headers = self._world.rate_headers(exchange.secret)
            return reply

        return Endpoint(name, self._start, respond)

    def _check_content_type(self, request: Request) -> None:
        if self._world.settings.content_type_required and "content-type" not in request.headers:
            raise validation_error("Content-Type", None, "Content-Type header is required")

    def _refusal(self, error: ApiError) -> Reply:
        reply = Reply.of_json(error.status, error.body(self._world.settings))
        reply.headers |= error.headers
        return reply

    # Generations.

    async def _submit(self, exchange: Exchange, key: Key) -> Reply:
        world, kind = self._world, exchange.endpoint
        settings = world.settings
        if kind == TEXT_TO_VIDEO:
            submission = await read_json(exchange.request)
        else:
            submission = await read_form(exchange.request, settings)
        prompt = submission.fields.get("prompt")
        target = Target(kind, key.secret, prompt=prompt if isinstance(prompt, str) else None)
        await exchange.meet_faults(target)
        task = exchange.task = await self._accept(submission, kind, key)
        fault = exchange.take(TASK, target)
        if fault is not None:
            world.afflict(task, fault)
        if task.file_size is None and task.failure is None:
            for index in range(task.samples):
                self._videos.prepare(script_of(task, index))
        left = task.account.credits
        exchange.note = f"−{task.cost} credits ({left} left)"  # noqa: RUF001 - a minus sign
        accepted = Reply.of_json(202, self._texts.accepted(task, left, world.settings))
        try:
            reply = exchange.meet_reply_faults(target, accepted)
        except Cut:
            task.reply = CUT
            raise
        task.reply = str(reply.status)
        return reply

    async def _accept(self, submission: Submission, kind: str, key: Key) -> Task:
        settings = self._world.settings
        uploads = await read_uploads(submission, kind, settings, self._videos)
        parameters = read_parameters(submission.fields, kind, settings, form=kind != TEXT_TO_VIDEO)
        return self._world.submit(key, kind, parameters, submission.fields, uploads)

    # Reading back.

    async def _find(self, exchange: Exchange, key: Key) -> tuple[Task, Target]:
        task_id = exchange.task_id = exchange.request.path_params["task_id"]
        known = self._world.peek(task_id)
        prompt = known.parameters.prompt if known else None
        target = Target(exchange.endpoint, key.secret, task_id, prompt)
        await exchange.meet_faults(target)
        fault = exchange.take(TASK, target)
        if fault is not None and known is not None:
            self._world.afflict(known, fault)
        return self._world.find(key, task_id), target

    async def _status(self, exchange: Exchange, key: Key) -> Reply:
        task, target = await self._find(exchange, key)
        settings, now = self._world.settings, self._world.clock.now()
        if task.state(now) is State.FAILED and settings.failed_status != 200:  # noqa: PLR2004 - an HTTP status
            raise generation_failed(settings.failed_status, task.failure)
        exchange.note = wire.label(task.state(now), settings)
        return exchange.meet_reply_faults(target, Reply.of_json(200, self._texts.status(task, now, settings)))

    async def _download(self, exchange: Exchange, key: Key) -> Reply:
        task, target = await self._find(exchange, key)
        settings, now = self._world.settings, self._world.clock.now()
        state = task.state(now)
        if state is not State.COMPLETED:
            if state is State.FAILED and settings.failed_download == "NO_VIDEOS":
                raise ApiError(404, "NO_VIDEOS", "No videos for this task")
            if state is State.FAILED and settings.failed_download == "GENERATION_FAILED":
                raise generation_failed(500, task.failure)
            raise ApiError(400, "VIDEO_NOT_READY", "Video is not ready yet")
        if not task.samples:
            raise ApiError(404, "NO_VIDEOS", "No videos for this task")
        exchange.note = f"{task.samples} video" + ("s" if task.samples > 1 else "")
        reply = Reply.of_json(200, self._texts.download(task, now, settings))
        return exchange.meet_reply_faults(target, reply)

    async def _history(self, exchange: Exchange, key: Key) -> Reply:
        target = Target("history", key.secret)
        await exchange.meet_faults(target)
        settings, now = self._world.settings, self._world.clock.now()
        query = exchange.request.query_params
        limit = _number(query.get("limit"), "limit", settings.history_default_limit, minimum=1)
        if limit > MAX_LIMIT:
            if settings.history_over_limit == "refuse":
                raise validation_error("limit", limit, f"limit must not exceed {MAX_LIMIT}")
            limit = MAX_LIMIT
        skip = _number(query.get("skip"), "skip", 0, minimum=0)
        tasks = self._world.listing(key)
        wanted = query.get("status")
        if wanted is not None:
            state = _state(wanted, settings)
            tasks = [task for task in tasks if task.state(now) is state]
        page = tasks[skip : skip + limit]
        pagination: dict[str, Any] = {"total": len(tasks)} if settings.history_total else {}
        pagination |= {"limit": limit, "skip": skip}
        if settings.history_has_more:
            pagination["hasMore"] = skip + len(page) < len(tasks)
        records = [self._texts.record(task, now, settings) for task in page]
        answer = {"success": True, "videos": records, "pagination": pagination}
        exchange.note = f"{len(page)} of {len(tasks)}"
        return exchange.meet_reply_faults(target, Reply.of_json(200, answer))

    async def _models(self, exchange: Exchange, key: Key) -> Reply:
        target = Target("models", key.secret)
        await exchange.meet_faults(target)
        answer = wire.models(self._world.settings)
        return exchange.meet_reply_faults(target, Reply.of_json(200, answer))


def _number(text: str | None, name: str, default: int, *, minimum: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or int(text) < minimum:
        raise validation_error(name, text, f"{name} must be an integer, at least {minimum}")
    return int(text)


def _state(word: str, settings: Settings) -> State:
    """The state that a filter means, in the plain words or in the dialect's."""
    for state in State:
        if word.lower() in (state.name.lower(), wire.label(state, settings).lower()):
            return state
    raise validation_error("status", word, "status must be pending, processing, completed or failed")
