"""The hook: authentication and every endpoint of the VEO3 API."""

from __future__ import annotations

import asyncio
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_provider_veo3 import metrics
from airflow_provider_veo3.airflow_names import AirflowException, AirflowNotFoundException, BaseHook
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.pricing import price_of
from airflow_provider_veo3.api.request import GenerationRequest, Image
from airflow_provider_veo3.api.retries import ONCE, Retries
from airflow_provider_veo3.exceptions import Veo3ValidationError, counted, shown
from airflow_provider_veo3.hooks.connection import (
    DEFAULT_CONN_ID,
    ConnectionSettings,
    settings_from_connection,
    settings_from_environment,
)
from airflow_provider_veo3.hooks.connection_form import CONNECTION_TYPE, form_widgets, ui_field_behaviour

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from airflow_provider_veo3.airflow_names import Connection
    from airflow_provider_veo3.api.clock import Clock
    from airflow_provider_veo3.api.models import Generation, VideoList, VideoModel
    from airflow_provider_veo3.api.transport import (
        AsyncTransport,
        Endpoint,
        FileResponse,
        SyncTransport,
    )


_HOLDING_THE_KEY: Final = frozenset({"settings", "_transport", "_log"})
"""Attributes of a hook that hold the key, or cannot be pickled; each is made anew when it is needed."""


class Veo3Hook(BaseHook):
    """Client of the VEO3 API.

    Every method that fails raises a :class:`~airflow_provider_veo3.exceptions.Veo3ApiError` that says what
    happened, to which generation, whether credits were spent, and what to do next. GET requests are retried
    after network errors, 429 and 5xx; a submission only where it certainly was not accepted. A parameter that
    is not acceptable raises :class:`~airflow_provider_veo3.exceptions.Veo3ValidationError` before anything is
    sent.

    :param veo3_conn_id: Airflow connection of type ``veo3``: the password is the API key, the host the base
        URL (default ``https://api.veo3gen.co``). Where ``veo3_default`` is not defined, the environment
        variables ``VEO3_API_KEY`` and ``VEO3_BASE_URL`` serve.
    """

    conn_name_attr = "veo3_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONNECTION_TYPE["connection-type"]
    hook_name = CONNECTION_TYPE["hook-name"]

    clock: ClassVar[Clock] = time
    """Clock of the hook's transports; tests put another one in its place."""
    longest_response: ClassVar[float | None] = None
    """Seconds beyond the timeout until a whole response is given up; ``None`` for 90, tests shorten them."""

    def __init__(self, veo3_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.veo3_conn_id = veo3_conn_id

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled or copied: no key, and no transport that holds it."""
        return {name: value for name, value in vars(self).items() if name not in _HOLDING_THE_KEY}

    @cached_property
    def settings(self) -> ConnectionSettings:
        """Return the settings of the connection, which is read once and checked.

        :raises Veo3ConnectionConfigError: the connection cannot be used.
        :raises AirflowNotFoundException: the connection is not defined.
        """
        try:
            connection = self.get_connection(self.veo3_conn_id)
        except AirflowNotFoundException:
            return self._settings_without_connection()
        return settings_from_connection(self.veo3_conn_id, connection, connection.extra_dejson)

    def _settings_without_connection(self) -> ConnectionSettings:
        """Return the settings from the environment, if the connection is the default one.

        :raises AirflowNotFoundException: the connection has another name, or the environment has no key.
        """
        settings = settings_from_environment() if self.veo3_conn_id == self.default_conn_name else None
        if settings is None:
            raise AirflowNotFoundException(
                f"The Airflow connection {shown(self.veo3_conn_id)} is not defined. Nothing was sent or "
                "spent. Add a connection of type 'veo3' with the API key as its password; for "
                f"{self.default_conn_name!r} the environment variable VEO3_API_KEY serves as well."
            )
        return settings

    def get_conn(self) -> SyncTransport:
        """Return the transport of this hook, which keeps a connection open until ``close()``."""
        return self._transport

    @cached_property
    def _transport(self) -> SyncTransport:
        from airflow_provider_veo3.api.transport import SyncTransport

        return SyncTransport(self._endpoint(), metrics.requested, clock=self.clock)

    def reconnect(self) -> bool:
        """Read the connection again; return whether it has another key or base URL, which then serves."""
        try:
            settings = Veo3Hook(self.veo3_conn_id).settings
        except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises
            self.log.warning("Cannot read the connection %s again: %s", self.veo3_conn_id, error)
            return False
        if not settings.replaces(self.settings):
            return False
        self._transport.close()
        del self._transport
        self.settings = settings
        return True

    async def aget_conn(self) -> AsyncTransport:
        """Return a new transport for the event loop; the caller closes it."""
        try:
            connection, extra = await self._read_connection()
        except AirflowNotFoundException:
            self.settings = self._settings_without_connection()
        else:
            self.settings = settings_from_connection(self.veo3_conn_id, connection, extra)
        # importing the HTTP libraries and reading the certificates would block the event loop noticeably
        return await asyncio.to_thread(self._async_transport)

    async def _read_connection(self) -> tuple[Connection, dict[str, Any]]:
        """Return the connection and its extra, without blocking the event loop.

        Until Airflow 3.3.1 no coroutine of Airflow does that: each masks the secrets with a blocking call to
        the triggerer, which would wait for the event loop that it blocks. A thread may make such calls.
        """
        from airflow.sdk import Connection

        if hasattr(Connection, "aextra_dejson"):  # Airflow 3.3.2
            connection = await self.aget_connection(self.veo3_conn_id)
            return connection, await connection.aextra_dejson()
        from asgiref.sync import sync_to_async

        def read() -> tuple[Connection, dict[str, Any]]:
            connection = self.get_connection(self.veo3_conn_id)
            return connection, connection.extra_dejson

        return await sync_to_async(read)()

    def _async_transport(self) -> AsyncTransport:
        from airflow_provider_veo3.api.transport import AsyncTransport

        return AsyncTransport(self._endpoint(), metrics.requested, clock=self.clock)

    def _endpoint(self) -> Endpoint:
        from airflow_provider_veo3.api.transport import LONGEST_RESPONSE, Endpoint

        return Endpoint(
            self.settings.base_url,
            self.settings.api_key,
            self.settings.request_timeout,
            self.settings.requests_per_minute,
            LONGEST_RESPONSE if self.longest_response is None else self.longest_response,
            self.settings.key_source,
        )

    def submit(self, request: GenerationRequest, retries: Retries | None = None) -> Generation:
        """Submit a generation; its acceptance spends credits.

        :param request: the generation to submit.
        :param retries: retries of a submission that certainly was not accepted; default four tries.
        :return: the generation, ``pending``, with its id and the credits it cost.
        """
        settings = self.settings
        flow = flows.submit(request, settings.base_url, settings.file_fields, retries or Retries())
        return self._transport.run(flow)

    def text_to_video(self, prompt: str, **options: Any) -> Generation:
        """Submit a generation from text; see :meth:`submit`.

        :param prompt: content of the video; 1 to 1000 characters.
        :param options: see :class:`~airflow_provider_veo3.api.request.GenerationRequest`.
        """
        return self.submit(GenerationRequest("text-to-video", prompt, **options))

    def image_to_video(self, prompt: str, image: bytes, **options: Any) -> Generation:
        """Submit a generation that starts from an image; see :meth:`submit`.

        :param prompt: content of the video; 1 to 1000 characters.
        :param image: a JPEG or PNG file, at most 20 MB.
        :param options: see :class:`~airflow_provider_veo3.api.request.GenerationRequest`.
        """
        images = (Image("image", image),)
        return self.submit(GenerationRequest("image-to-video", prompt, images=images, **options))

    def first_last_frame(
        self, prompt: str, first_frame: bytes, last_frame: bytes, **options: Any
    ) -> Generation:
        """Submit a generation between two images (Veo 3.1 Quality and Fast); see :meth:`submit`.

        The vendor documents the endpoint but not its form fields: the connection's extras
        ``first_frame_field`` and ``last_frame_field`` set them.

        :param prompt: content of the video; 1 to 1000 characters.
        :param first_frame: a JPEG or PNG file, at most 20 MB.
        :param last_frame: a JPEG or PNG file, at most 20 MB.
        :param options: see :class:`~airflow_provider_veo3.api.request.GenerationRequest`.
        """
        images = (Image("first_frame", first_frame), Image("last_frame", last_frame))
        return self.submit(GenerationRequest("first-last-frame", prompt, images=images, **options))

    def get_generation(self, generation_id: str) -> Generation:
        """Request the status of a generation.

        :param generation_id: the id that its submission returned.
        :return: the generation, as far as the API reports it; a failed one is returned too.
        :raises Veo3GenerationNotFoundError: the API does not know the id.
        """
        flow = flows.get_generation(generation_id, self.settings.base_url, Retries())
        return self._transport.run(flow)

    def get_videos(self, generation_id: str) -> VideoList:
        """Request fresh links to the files of a completed generation.

        :param generation_id: the id that its submission returned.
        :return: one :class:`~airflow_provider_veo3.api.models.Video` for each file, in order; at least one.
            Its ``total`` is the number of files that the API counts, more while the list lags.
        :raises Veo3VideoNotReadyError: the generation is not completed yet.
        :raises Veo3NoVideosError: the generation is completed, but has no file.
        :raises Veo3GenerationNotFoundError: the API does not know the id.
        """
        return self._transport.run(flows.get_videos(generation_id, self.settings.base_url, Retries()))

    def open_file(
        self, url: str, *, offset: int = 0, if_match: str | None = None
    ) -> AbstractContextManager[FileResponse]:
        """Open a file for streaming; the key is not sent along.

        :param url: the ``url`` of a file of :meth:`get_videos`.
        :param offset: number of bytes that are stored already; only the rest is requested.
        :param if_match: entity tag of those bytes; where the file has changed, it comes whole.
        :return: a context manager of a response with ``status``, ``headers`` and ``iter_bytes(chunk_size)``.
        :raises Veo3NoAnswerError: no response came, or the body broke off.
        :raises Veo3StorageError: the host redirects to a forbidden URL.
        """
        from airflow_provider_veo3.api.transport import open_file

        return open_file(url, timeout=self.settings.request_timeout, offset=offset, if_match=if_match)

    def iter_history(self, status: str | None = None) -> Iterator[Generation]:
        """Yield each generation of the account once, in the API's order; request pages as they are needed.

        :param status: only those that stand so: ``pending``, ``processing``, ``completed`` or ``failed``;
            ``None`` for all.
        """
        for page in self.iter_history_pages(status):
            yield from page

    def iter_history_pages(self, status: str | None = None) -> Iterator[list[Generation]]:
        """Yield the generations of :meth:`iter_history` in lists, one per page.

        :param status: as there.
        """
        from airflow_provider_veo3.history.pages import HistoryReader, page_flow

        seen: set[str] = set()
        reading = HistoryReader().read(status=status)
        request = next(reading, None)
        while request is not None:
            page = self._transport.run(page_flow(request, self.settings.base_url, Retries()))
            # pages overlap
            new = [generation for generation in page.generations if generation.id not in seen]
            seen.update(generation.id for generation in new)
            yield new
            try:
                request = reading.send(page)
            except StopIteration:
                return

    def list_models(self) -> tuple[VideoModel, ...]:
        """Request the models and their prices.

        :return: a :class:`~airflow_provider_veo3.api.models.VideoModel` for each.
        """
        return self._transport.run(flows.list_models(Retries()))

    def estimate_credits(self, model: str, *, sample_count: int = 1, generate_audio: bool = True) -> int:
        """Return the credits that one generation costs, from the API's price list; spends none.

        :param model: model id.
        :param sample_count: number of videos, 1 or 2.
        :param generate_audio: whether the videos have sound.
        :raises Veo3ValidationError: the API lists no such model, or no price for it.
        """
        request = GenerationRequest(
            "text-to-video", "-", model=model, sample_count=sample_count, generate_audio=generate_audio
        )
        models = self.list_models()
        price = price_of(request, models)
        if price is None:
            known = ", ".join(listed.id for listed in models)
            raise Veo3ValidationError.of("model", model, f"a model with a price: {known}")
        return price

    def test_connection(self) -> tuple[bool, str]:
        """Test address and key with a request for the models, which costs no credits.

        :return: whether it worked, and a sentence about it.
        """
        try:
            models = self._transport.run(flows.list_models(ONCE))
        except AirflowException as error:
            return False, str(error)
        return True, f"Connected to {self.settings.base_url}, which offers {counted(len(models), 'model')}."

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels of the connection form, for Airflow 3.0 and 3.1."""
        return ui_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the extra fields of the connection form, for Airflow 3.0 and 3.1."""
        return form_widgets()
