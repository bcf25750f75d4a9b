"""Operator that stores finished videos in object storage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_veo3.exceptions import Veo3ValidationError
from airflow_provider_veo3.links import Veo3StoredVideoLink, publish_stored

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_veo3.parameters import Text
    from airflow_provider_veo3.storage.store import StoredVideo
    from airflow_provider_veo3.storage.transfer import StoppableClock


class Veo3DownloadOperator(BaseOperator):
    """Store every video of finished generations, and return the stored files.

    Returns one ``{generation_id, index, uri, size, sha256, mime_type}`` per file, in the order of the ids and
    of the files of each; ``ObjectStoragePath`` opens the ``uri``. The URIs are also pushed to the XCom
    ``stored_video_uris``. A file becomes visible only when whole. An existing file of the size that the file
    host announces is not downloaded again, so that a retry downloads only what is missing. Downloading costs
    no credits, but links work only 24 hours from the completion of a generation.

    With ``outlets``, the asset events carry what a consumer needs of each file: ``generation_id``, ``index``,
    ``uri``, ``size``, ``sha256``, ``model``, ``credits``, ``seconds`` and ``prompt_sha256``. An ``Asset`` has
    one event, whose extra holds them in the list ``files``; an ``AssetAlias`` one event per file, of the
    asset whose URI is the file's without the connection, with them as its extra. That costs one more API
    request per generation.

    :param generation_id: id of a finished generation, or a list of them, as a generating task or the sensor
        returns. Of a mapped task's ids, those of skipped instances are left out; an id given twice is stored
        once; an empty list stores nothing and returns an empty list. (templated)
    :param destination: folder to store in: a local path or any URI that ``ObjectStoragePath`` takes, such as
        ``s3://conn_id@bucket/prefix/``. Missing folders are made. (templated)
    :param filename: path of a file below ``destination``, made of text and the fields ``{generation_id}`` and
        ``{index}`` (from 0; ``{index:02d}`` pads it). It may have subfolders, but not lead out of
        ``destination``. ``{generation_id}`` is needed with several ids, and for an existing file to be
        recognised; ``{index}`` with several files of one generation.
        Default ``{generation_id}_{index}.mp4``. (templated)
    :param max_concurrency: files downloaded at once, 1 to 16; default 4. An object store gets at most 3 at
        once, which together take less than 32 MB of memory, whatever their size; on a disk, each less than
        1 MB.
    :param veo3_conn_id: connection with the API key; default ``veo3_default``. (templated)
    :raises Veo3ValidationError: a parameter is not acceptable; nothing was requested or stored.
    :raises Veo3VideoNotReadyError: the generation has not finished; wait for it with the sensor.
    :raises Veo3GenerationNotFoundError: the API does not know the id.
    :raises Veo3NoVideosError: the generation finished without a file.
    :raises Veo3CorruptVideoError: the file host sends something else than the video it announces.
    :raises Veo3StorageError: a file could not be downloaded or written. With several files, the message names
        those that failed and the URIs of those that are stored.
    """

    template_fields: Sequence[str] = ("generation_id", "destination", "filename", "veo3_conn_id")
    ui_color = "#d5e8f0"
    operator_extra_links = (Veo3StoredVideoLink(),)

    def __init__(
        self,
        *,
        generation_id: Text | Iterable[str],
        destination: Text,
        filename: Text = "{generation_id}_{index}.mp4",
        max_concurrency: int = 4,
        veo3_conn_id: str = "veo3_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.generation_id = generation_id
        self.destination: Any = destination  # text once rendered
        self.filename: Any = filename
        self.max_concurrency = max_concurrency
        self.veo3_conn_id = veo3_conn_id
        self._clock: StoppableClock | None = None
        self._base_url: str | None = None
        self._generation_ids: list[str] = []
        self._videos: list[StoredVideo] = []
        self._azure_account: str | None = None

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Check every parameter, then store the files."""
        from airflow_provider_veo3.hooks.veo3 import Veo3Hook
        from airflow_provider_veo3.storage.destination import Destination
        from airflow_provider_veo3.storage.store import VideoStore

        hook = Veo3Hook(self.veo3_conn_id)
        self._clock = self._new_clock()
        self._generation_ids = read_generation_ids(self.generation_id)
        destination = Destination(self.destination)
        self._azure_account = destination.azure_account
        store = VideoStore(
            destination,
            filename=self.filename,
            get_videos=hook.get_videos,
            open_file=hook.open_file,
            max_concurrency=self.max_concurrency,
            clock=self._clock,
        )
        if self._generation_ids:
            self._base_url = hook.settings.base_url
        else:
            self.log.info("There is no generation to store; nothing was requested from the API.")
        self._videos = store.store(self._generation_ids)
        publish_stored(context, [video.uri for video in self._videos])
        if self.outlets:
            from airflow_provider_veo3.operators._asset_events import publish_events

            publish_events(context, self.outlets, self._videos, hook.get_generation)
        return [video.as_json() for video in self._videos]

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's
        """Return the generations as inputs and the stored files as outputs."""
        from airflow_provider_veo3.operators._lineage import lineage_of_stored

        return lineage_of_stored(self._base_url, self._generation_ids, self._videos, self._azure_account)

    def on_kill(self) -> None:
        """Stop the transfers at their next chunk, so that they remove half files."""
        if self._clock is not None:
            self._clock.stop()

    def _new_clock(self) -> StoppableClock:
        """Return the clock of the transfers, with their stop signal."""
        from airflow_provider_veo3.storage.transfer import StoppableClock

        return StoppableClock()


def read_generation_ids(value: object) -> list[str]:
    """Return the generation ids in a value, each once, in order.

    :param value: an id, or a list of ids or of such lists.
    :raises Veo3ValidationError: something in it is no generation id, or it is ``None``.
    """
    from airflow_provider_veo3.api.request import check_generation_id

    if value is None:
        raise Veo3ValidationError.of(
            "generation_id", value, "an id or a list of ids; the task it comes from returned nothing"
        )
    return list(dict.fromkeys(check_generation_id(item) for item in _flatten(value)))


def _flatten(value: object) -> Iterator[object]:
    """Yield the items of nested lists, without the ``None`` of skipped mapped instances."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        for item in value:
            yield from _flatten(item)
    elif value is not None:
        yield value
