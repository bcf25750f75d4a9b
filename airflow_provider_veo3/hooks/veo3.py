"""The hook: authentication and all endpoints of the VEO3 API."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, BaseHook

from airflow_provider_veo3 import metrics
from airflow_provider_veo3.api import flows
from airflow_provider_veo3.api.pricing import price_of
from airflow_provider_veo3.api.request import GenerationRequest, Image
from airflow_provider_veo3.api.retries import Retries
from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.hooks.connection import (
    ConnectionSettings,
    settings_from_connection,
    settings_from_environment,
)
from airflow_provider_veo3.hooks.connection_form import CONNECTION_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from airflow_provider_veo3.api.models import Generation, Video, VideoModel
    from airflow_provider_veo3.api.transport import AsyncTransport, Endpoint, FileResponse, SyncTransport


class Veo3Hook(BaseHook):
    """Talk to the VEO3 API.

    Every verb raises a :class:`~airflow_provider_veo3.exceptions.Veo3ApiError` that says what happened, to
    which generation, and whether credits were spent. Questions are repeated through short trouble; a
    submission only where it certainly was not accepted. A parameter that is not acceptable raises
    :class:`~airflow_provider_veo3.exceptions.Veo3ValidationError` before anything is sent.

    :param veo3_conn_id: Airflow connection of type ``veo3``: the password is the API key, the host the base
        URL (default ``https://api.veo3gen.co``). Where ``veo3_default`` is not defined, the environment
        variables ``VEO3_API_KEY`` and ``VEO3_BASE_URL`` serve.
    """

    conn_name_attr = "veo3_conn_id"
    default_conn_name = "veo3_default"
    conn_type = CONNECTION_TYPE["connection-type"]
    hook_name = CONNECTION_TYPE["hook-name"]

    def __init__(self, veo3_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.veo3_conn_id = veo3_conn_id

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, read once and checked.

        :raises Veo3ConnectionConfigError: it cannot be used.
        :raises AirflowNotFoundException: there is none of that name.
        """
        try:
            connection = self.get_connection(self.veo3_conn_id)
        except AirflowNotFoundException:
            return self._settings_without_connection()
        return settings_from_connection(self.veo3_conn_id, connection, connection.extra_dejson)

    def _settings_without_connection(self) -> ConnectionSettings:
        """Take the environment for the default connection; re-raise for one that somebody named."""
        settings = settings_from_environment() if self.veo3_conn_id == self.default_conn_name else None
        if settings is None:
            raise AirflowNotFoundException(
                f"The Airflow connection {self.veo3_conn_id!r} is not defined. Add one of type 'veo3' "
                f"with the API key as its password; for {self.default_conn_name!r} the environment variable "
                "VEO3_API_KEY serves as well. Nothing was sent."
            )
        return settings

    def get_conn(self) -> SyncTransport:
        """Return the transport that the verbs use, which keeps one connection open; ``close()`` ends it."""
        return self._transport

    @cached_property
    def _transport(self) -> SyncTransport:
        from airflow_provider_veo3.api.transport import SyncTransport

        return SyncTransport(_endpoint(self.settings), metrics.answered)

    async def aget_conn(self) -> AsyncTransport:
        """Return a transport, reading the connection without blocking; the caller closes it."""
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        try:
            connection = await get_async_connection(self.veo3_conn_id, hook=self)
        except AirflowNotFoundException:
            self.settings = self._settings_without_connection()
        else:
            extra = await get_async_extra_dejson(connection)
            self.settings = settings_from_connection(self.veo3_conn_id, connection, extra)
        # importing the HTTP libraries and reading the certificates takes long enough to be noticed
        return await asyncio.to_thread(_async_transport, self.settings)

    def submit(self, request: GenerationRequest, retries: Retries | None = None) -> Generation:
        """Submit a generation, which spends credits when it is accepted.

        :param request: what to generate.
        :param retries: how often it is repeated where it certainly was not accepted; default four tries.
        :return: the generation, ``pending``, with its id and what it took.
        """
        settings = self.settings
        flow = flows.submit(request, settings.base_url, settings.file_fields, retries or Retries())
        return self._transport.run(flow)

    def text_to_video(self, prompt: str, **options: Any) -> Generation:
        """Submit a video made from text; see :meth:`submit`.

        :param prompt: what the video shows; 1 to 1000 characters.
        :param options: see :class:`~airflow_provider_veo3.api.request.GenerationRequest`.
        """
        return self.submit(GenerationRequest("text-to-video", prompt, **options))

    def image_to_video(self, prompt: str, image: bytes, **options: Any) -> Generation:
        """Submit a video that starts from an image; see :meth:`submit`.

        :param prompt: what happens in the video; 1 to 1000 characters.
        :param image: a JPEG or PNG file, at most 20 MB.
        :param options: see :class:`~airflow_provider_veo3.api.request.GenerationRequest`.
        """
        images = (Image("image", image),)
        return self.submit(GenerationRequest("image-to-video", prompt, images=images, **options))

    def first_last_frame(
        self, prompt: str, first_frame: bytes, last_frame: bytes, **options: Any
    ) -> Generation:
        """Submit a video that runs from one image to another (Veo 3.1 Quality and Fast); see :meth:`submit`.

        The vendor names the endpoint but not its form fields: the connection's extras
        ``first_frame_field`` and ``last_frame_field`` set them.

        :param prompt: what happens in between; 1 to 1000 characters.
        :param first_frame: a JPEG or PNG file, at most 20 MB.
        :param last_frame: a JPEG or PNG file, at most 20 MB.
        :param options: see :class:`~airflow_provider_veo3.api.request.GenerationRequest`.
        """
        images = (Image("first_frame", first_frame), Image("last_frame", last_frame))
        return self.submit(GenerationRequest("first-last-frame", prompt, images=images, **options))

    def get_generation(self, generation_id: str) -> Generation:
        """Ask how a generation stands.

        :param generation_id: the id that its submission returned.
        :return: the generation as far as the API tells; that it has failed is no error here.
        :raises Veo3GenerationNotFoundError: the API does not know the id.
        """
        flow = flows.get_generation(generation_id, self.settings.base_url, Retries())
        return self._transport.run(flow)

    def get_videos(self, generation_id: str) -> tuple[Video, ...]:
        """Ask for fresh links to a finished generation's files.

        :param generation_id: the id that its submission returned.
        :return: one :class:`~airflow_provider_veo3.api.models.Video` for each file, in order; at least one.
        :raises Veo3VideoNotReadyError: it has not finished.
        :raises Veo3NoVideosError: it finished without a file.
        :raises Veo3GenerationNotFoundError: the API does not know the id.
        """
        return self._transport.run(flows.get_videos(generation_id, self.settings.base_url, Retries()))

    def open_file(
        self, url: str, *, offset: int = 0, if_match: str | None = None
    ) -> AbstractContextManager[FileResponse]:
        """Open a file for streaming; the key is not sent along.

        :param url: the ``url`` of one of :meth:`get_videos`.
        :param offset: bytes that are there already; only what comes behind them is asked for.
        :param if_match: entity tag these bytes came with; where the file has changed, it comes whole.
        :return: a context manager of an answer with ``status``, ``headers`` and ``iter_bytes(chunk_size)``.
        :raises Veo3NoAnswerError: no answer came, or the body broke off.
        :raises Veo3StorageError: the host redirects to where it must not.
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
        """Ask for the models and their prices.

        :return: a :class:`~airflow_provider_veo3.api.models.VideoModel` for each.
        """
        return self._transport.run(flows.list_models(Retries()))

    def estimate_credits(self, model: str, *, sample_count: int = 1, generate_audio: bool = True) -> int:
        """Return the credits that one generation costs, from the API's price list; spends none.

        :param model: model id.
        :param sample_count: videos to make, 1 or 2.
        :param generate_audio: whether with sound.
        :raises Veo3ValidationError: the API lists no such model, or no price for it.
        """
        asked = GenerationRequest(
            "text-to-video", "-", model=model, sample_count=sample_count, generate_audio=generate_audio
        )
        models = self.list_models()
        price = price_of(asked, models)
        if price is None:
            known = ", ".join(m.id for m in models)
            raise Veo3ValidationError.of("model", model, f"a model with a price: {known}")
        return price

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the models, which checks address and key and costs no credits.

        :return: whether it worked, and a sentence for people.
        """
        try:
            models = self._transport.run(flows.list_models(Retries(attempts=1)))
        except AirflowException as error:
            return False, str(error)
        return True, f"Connected to {self.settings.base_url}; {len(models)} models are offered."

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's labels, for Airflow 3.0 and 3.1."""
        behaviour = CONNECTION_TYPE["ui-field-behaviour"]
        return {
            "hidden_fields": behaviour["hidden-fields"],
            "relabeling": behaviour["relabeling"],
            "placeholders": behaviour["placeholders"],
        }

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields, for Airflow 3.0 and 3.1."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms import StringField

        return {
            name: StringField(
                spec["label"],
                description=spec["description"],
                widget=BS3TextFieldWidget(),
                default=spec["schema"]["default"],
            )
            for name, spec in CONNECTION_TYPE["conn-fields"].items()
        }


def _endpoint(settings: ConnectionSettings) -> Endpoint:
    from airflow_provider_veo3.api.transport import Endpoint

    return Endpoint(
        settings.base_url, settings.api_key, settings.request_timeout, settings.requests_per_minute
    )


def _async_transport(settings: ConnectionSettings) -> AsyncTransport:
    from airflow_provider_veo3.api.transport import AsyncTransport

    return AsyncTransport(_endpoint(settings), metrics.answered)
