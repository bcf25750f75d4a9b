"""Operator that stores finished videos in object storage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_veo3.airflow_names import BaseOperator, TriggerRule
from airflow_provider_veo3.exceptions import Veo3ValidationError, logged_by_sentence
from airflow_provider_veo3.links import (
    Veo3StoredVideoLink,
    Veo3VideosLink,
    generated_upstream,
    patiently,
    publish_stored,
    upstream_manifests,
)
from airflow_provider_veo3.parameters import path_text, read_flag

if TYPE_CHECKING:
    from airflow_provider_veo3.airflow_names import Context
    from airflow_provider_veo3.parameters import PathText, Text
    from airflow_provider_veo3.storage.provenance import StoredVideo
    from airflow_provider_veo3.storage.transfer import StoppableClock

_LIST_AS_TEXT: Final = re.compile(r"\s*[\[({]\s*['\"\])}]|LazyXComSequence\(|<generator ")
"""Start of a text that a template makes of a list of ids."""


class Veo3DownloadOperator(BaseOperator):
    """Store every video of finished generations, and return the stored files.

    Returns one ``{generation_id, index, uri, size, sha256, mime_type, samples, samples_expected, prompt,
    map_index}`` per file, in the order of the ids and of the files of each; ``ObjectStoragePath`` opens the
    ``uri``. ``samples`` is the number of files of the generation, ``samples_expected`` the number requested;
    ``prompt`` (its first 1,000 characters) and ``map_index`` are those of the generating task. They come from
    the manifests of the generating tasks of this run; what is not known is ``None``. The URIs are also pushed
    to the XCom ``stored_video_uris``.

    A file becomes visible only when whole. An existing file of the size that the file host announces is not
    downloaded again, so that a retry downloads only what is missing. Downloading costs no credits, but links
    work only 24 hours from the completion of a generation. For two minutes, within one try, the task sits out
    an API or a file host that is away, and a file or a list of files that is not there yet although the
    generation has just finished.

    With ``outlets``, the asset events carry what a consumer needs of each file: all of the above but
    ``mime_type``, and ``model``, ``credits``, ``seconds`` and ``prompt_sha256``. An ``Asset`` has one event,
    whose extra holds them in the list ``files``; an ``AssetAlias`` one event per file, of the asset whose URI
    is the file's without the connection, with them as its extra. That costs one more API request per
    generation.

    Behind a mapped task of which some instances may fail, set ``trigger_rule="all_done"``: the videos of the
    others are stored, and a warning names the instances without a generation.

    :param generation_id: id of a finished generation, or a list of them, as a generating task or the sensor
        returns. Of a mapped task's ids, those of skipped instances are left out; an id given twice is stored
        once; an empty list stores nothing and returns an empty list. (templated)
    :param destination: folder to store in: a local path or any URI that ``ObjectStoragePath`` takes, such as
        ``s3://conn_id@bucket/prefix/``, as text, ``pathlib.Path`` or ``ObjectStoragePath``. Missing folders
        are made. Refused is what would be stored elsewhere than it says: a part that is empty or ``None``,
        ``null``, ``undefined`` or ``nan``, to which a template renders that finds nothing; ``..``; ``~`` and
        ``$HOME``, which are not expanded; ``?`` on any storage but a local folder. (templated)
    :param filename: path of a file below ``destination``, made of text and the fields ``{generation_id}`` and
        ``{index}`` (from 0; ``{index:02d}`` pads it). It may have subfolders, but not lead out of
        ``destination``; the rules of ``destination`` hold, and no colon, so write ``{{ ts_nodash }}`` rather
        than ``{{ run_id }}``. ``{generation_id}`` is needed with several ids, and for an existing file to be
        recognised; an id that is no safe name is stored as its safe characters and a hash. ``{index}`` is
        needed with several files of one generation. Default ``{generation_id}_{index}.mp4``. (templated)
    :param overwrite: whether the video of another generation may be replaced, as by a ``filename`` without
        ``{generation_id}`` that is stored again. Default ``False``: the task fails, and the file stays.
    :param require_all_samples: whether the task fails for a generation that has fewer videos than were
        requested and charged, once those that it has are stored. A retry requests the list again, and
        downloads only what is missing. Default ``False``: a warning.
    :param sidecar: whether to store ``<name>.json`` beside each video: what is returned of the file, and the
        prompt, options, credits and times of its generation, with the DAG, run and task that stored it; no
        link and no key. Default ``False``.
    :param max_concurrency: files downloaded at once, 1 to 16; default 4. An object store gets at most 3 at
        once, which together take less than 40 MB of memory, whatever their size; on a disk, each 2
        to 5 MB.
    :param veo3_conn_id: connection with the API key; default ``veo3_default``. (templated)
    :raises Veo3ValidationError: a parameter is not acceptable; nothing was requested or stored.
    :raises Veo3VideoNotReadyError: the generation has not finished; wait for it with the sensor.
    :raises Veo3GenerationNotFoundError: the API does not know the id.
    :raises Veo3NoVideosError: the generation finished without a file.
    :raises Veo3CorruptVideoError: the file host sends something else than the video it announces.
    :raises Veo3MissingVideosError: a generation has fewer videos than were requested, and
        ``require_all_samples`` is set.
    :raises Veo3StorageError: a file could not be downloaded or written. With several files, the message names
        those that failed and the URIs of those that are stored.
    """

    template_fields: Sequence[str] = ("generation_id", "destination", "filename", "veo3_conn_id")
    ui_color = "#d5e8f0"
    operator_extra_links = (Veo3VideosLink(), Veo3StoredVideoLink())

    def __init__(
        self,
        *,
        generation_id: Text | Iterable[str],
        destination: PathText,
        filename: PathText = "{generation_id}_{index}.mp4",
        overwrite: bool = False,
        require_all_samples: bool = False,
        sidecar: bool = False,
        max_concurrency: int = 4,
        veo3_conn_id: str = "veo3_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.generation_id = generation_id
        # text once rendered; a path object is not a template to every Airflow
        self.destination: Any = path_text(destination)
        self.filename: Any = path_text(filename)
        self.overwrite = read_flag("overwrite", overwrite)
        self.require_all_samples = read_flag("require_all_samples", require_all_samples)
        self.sidecar = read_flag("sidecar", sidecar)
        self.max_concurrency = max_concurrency
        self.veo3_conn_id = veo3_conn_id
        self._clock: StoppableClock | None = None
        self._base_url: str | None = None
        self._generation_ids: list[str] = []
        self._videos: list[StoredVideo] = []
        self._azure_account: str | None = None

    @property
    def stored_uris(self) -> list[str]:
        """URIs of the videos that this attempt has stored."""
        return [video.uri for video in self._videos]

    @logged_by_sentence()
    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Check every parameter, then store the files."""
        from airflow_provider_veo3.hooks.veo3 import Veo3Hook
        from airflow_provider_veo3.storage.destination import Destination
        from airflow_provider_veo3.storage.listing import VideoLister, generation_of, videos_of
        from airflow_provider_veo3.storage.provenance import Provenance
        from airflow_provider_veo3.storage.sidecar import Sidecar
        from airflow_provider_veo3.storage.store import VideoStore

        hook = Veo3Hook(self.veo3_conn_id)
        self._clock = self._new_clock()
        self._generation_ids = read_generation_ids(self.generation_id)
        destination = Destination(self.destination)
        self._azure_account = destination.azure_account
        provenance = Provenance(self._manifests(context), generation_of(hook, self._clock))
        lister = VideoLister(videos_of(hook, self._clock), provenance, self._clock)
        sidecar = None
        if self.sidecar:
            sidecar = Sidecar(destination, lister, provenance, _identity(context), self._clock)
        store = VideoStore(
            destination,
            filename=self.filename,
            lister=lister,
            open_file=hook.open_file,
            max_concurrency=self.max_concurrency,
            overwrite=self.overwrite,
            require_all_samples=self.require_all_samples,
            sidecar=sidecar,
            clock=self._clock,
        )
        self._warn_of_failed_instances(context)
        if self._generation_ids:
            self._base_url = hook.settings.base_url
        else:
            self.log.info("There is no generation to store; nothing was requested from the API.")
        self._videos = store.store(self._generation_ids)
        publish_stored(context, self.stored_uris)
        if self.outlets:
            from airflow_provider_veo3.operators._asset_events import publish_events

            publish_events(context, self.outlets, self._videos, provenance)
        return [provenance.described(video).as_json() for video in self._videos]

    def _manifests(self, context: Context) -> dict[str, Mapping[str, Any]]:
        """Return the manifests of the generations; none where Airflow does not give them."""
        try:
            return upstream_manifests(context, self._generation_ids)
        except Exception as error:  # noqa: BLE001 - the videos matter more
            self.log.warning("The manifests of the generating tasks cannot be read: %s", error)
            return {}

    def _warn_of_failed_instances(self, context: Context) -> None:
        """Name the failed instances upstream, where the trigger rule tolerates them."""
        ti = context["ti"]
        if self.trigger_rule == TriggerRule.ALL_SUCCESS or (ti.map_index or 0) >= 0:
            return
        try:
            states = patiently(
                lambda: ti.get_task_states(
                    dag_id=ti.dag_id, task_ids=sorted(self.upstream_task_ids), run_ids=[ti.run_id]
                )
            )
            failed = {
                name: state
                for name, state in sorted(states.get(ti.run_id, {}).items())
                if state in ("failed", "upstream_failed")
            }
            ids = [manifest.get("id") for manifest in generated_upstream(context)] if failed else []
        except Exception as error:  # noqa: BLE001 - the videos matter more
            self.log.warning("The states of the tasks upstream cannot be read: %s", error)
            return
        if failed:
            others = [each for each in ids if isinstance(each, str) and each not in self._generation_ids]
            self.log.warning(
                "Not every task upstream has a generation to store: %s. %s Clear them to try again.",
                ", ".join(f"{name} is {state}" for name, state in failed.items()),
                f"They may have paid for {', '.join(others)}, which is not stored."
                if others
                else "None of them has published a generation.",
            )

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


def _identity(context: Context) -> dict[str, Any]:
    """Return what identifies a task instance."""
    ti = context["ti"]
    return {name: getattr(ti, name) for name in ("dag_id", "run_id", "task_id", "map_index")}


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
    ids = list(_flatten(value))
    for each in ids:
        if isinstance(each, str) and _LIST_AS_TEXT.match(each):
            allowed = (
                "an id or a list of ids; a template made a text of this list: pass the task's `output`, or"
                " set render_template_as_native_obj=True for the DAG"
            )
            raise Veo3ValidationError.of("generation_id", each, allowed)
    return list(dict.fromkeys(check_generation_id(each) for each in ids))


def _flatten(value: object) -> Iterator[object]:
    """Yield the items of nested lists, without the ``None`` of skipped mapped instances."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        for item in value:
            yield from _flatten(item)
    elif value is not None:
        yield value
