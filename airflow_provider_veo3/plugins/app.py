"""Routes of the Videos page, and who may use them.

Airflow authenticates no route of a plugin. Here the whole app requires a user, every list is limited to the
DAGs whose XComs that user may read, and every video is checked by the DAG whose XCom names it.
"""

from __future__ import annotations

import base64
import json
import logging
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, get_user
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from airflow_provider_veo3.airflow_names import conf
from airflow_provider_veo3.plugins.gallery import CardFilter, Cursor, Gallery
from airflow_provider_veo3.plugins.media import (
    Locations,
    NotAllowedError,
    NotAVideoError,
    Reader,
    UnsatisfiableRangeError,
    byte_range,
)
from airflow_provider_veo3.plugins.source import Position, Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, MutableMapping

    from airflow_provider_veo3.plugins.cards import Card
    from airflow_provider_veo3.plugins.media import StoredFile
    from airflow_provider_veo3.plugins.spend import Spend

log = logging.getLogger(__name__)

STATIC: Final = Path(__file__).with_name("static")

MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every response."""

NOT_KEPT: Final = "private, no-store"
"""Caching of what the database says."""

KEPT: Final = "private, max-age=300"
"""Caching of videos and of the page's own files: by this browser, for this user."""

WINDOW: Final = timedelta(days=30)
"""Time whose credits are added up when no filter says another."""


def _in_utc(moment: datetime) -> datetime:
    """Return a time in UTC.

    :raises HTTPException: its year leaves no room to calculate with it.
    """
    if moment.year in (MINYEAR, MAXYEAR):
        raise HTTPException(400, "A time must be in the years 2 to 9998.")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


Identifier = Annotated[str, Field(max_length=250)]
MapIndex = Annotated[int, Field(ge=-1, lt=2**31)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]


class Filter(BaseModel):
    """Filter of the page, as its URL has it. An empty value filters nothing."""

    model_config = ConfigDict(extra="forbid")

    dag_id: Identifier | None = None
    run_id: Identifier | None = None
    task_id: Identifier | None = None
    map_index: MapIndex | None = None
    status: Literal["stored", "unstored", "in_flight", "failed", "unknown"] | None = None
    model: Annotated[str, Field(max_length=100)] | None = None
    since: Moment | None = None
    until: Moment | None = None
    words: Annotated[str, Field(max_length=200)] | None = None
    before: Annotated[str, Field(max_length=2000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, fields: dict[str, Any]) -> dict[str, Any]:
        # Airflow leaves {MAP_INDEX} as it is where a task is not mapped
        return {name: value for name, value in fields.items() if value not in ("", "{MAP_INDEX}")}

    def card_filter(self) -> CardFilter:
        """Return the properties that a card must have."""
        return CardFilter(self.status, self.model, tuple((self.words or "").lower().split()))

    def after(self) -> Cursor | None:
        """Return the cursor that an earlier page gave.

        :raises HTTPException: it is none.
        """
        if self.before is None:
            return None
        try:
            place, shown = _CURSOR.validate_json(base64.urlsafe_b64decode(self.before))
        except ValueError as error:
            raise HTTPException(400, "The cursor 'before' is none that this page gave.") from error
        return Cursor(None if place is None else Position(**place.model_dump()), shown)


class _Place(BaseModel):
    """Position in the list, as a cursor has it."""

    at: Moment
    dag_run_id: Annotated[int, Field(ge=0, lt=2**63)]
    task_id: Identifier
    map_index: MapIndex
    key: Identifier


_CURSOR: Final[TypeAdapter[tuple[_Place | None, int]]] = TypeAdapter(tuple[_Place | None, int])


class StoredPlace(BaseModel):
    """Place of a stored file: a task instance, and a number in the list that it returned."""

    model_config = ConfigDict(extra="forbid")

    dag_id: Identifier
    run_id: Identifier
    task_id: Identifier
    map_index: MapIndex = -1
    number: Annotated[int, Field(ge=0)] = 0


def check_single(request: Request) -> None:
    """Refuse a parameter that is given twice: the checked value might not be the used one.

    :raises HTTPException: a name occurs more than once.
    """
    names = [name for name, _ in request.query_params.multi_items()]
    if len(names) != len(set(names)):
        raise HTTPException(400, "A parameter is given more than once.")


def readable_dags(user: Any, dag_ids: Collection[str]) -> frozenset[str]:
    """Return the DAGs, out of some, that the user may read with their XComs."""
    manager = get_auth_manager()
    teams = _teams(dag_ids)
    requests: dict[str, list[Any]] = {
        dag_id: [
            {
                "method": "GET",
                "access_entity": entity,
                "details": DagDetails(id=dag_id, **teams.get(dag_id, {})),
            }
            for entity in (None, DagAccessEntity.XCOM)
        ]
        for dag_id in dag_ids
    }
    # one request to an auth manager that is a server elsewhere, for the many who may read everything
    if manager.batch_is_authorized_dag([each for found in requests.values() for each in found], user=user):
        return frozenset(dag_ids)
    return frozenset(
        dag_id
        for dag_id, found in requests.items()
        if all(manager.is_authorized_dag(**each, user=user) for each in found)
    )


def check_may_read(user: Any, dag_id: str) -> None:
    """Refuse a DAG whose XComs the user may not read.

    :raises HTTPException: the user may not.
    """
    if not readable_dags(user, [dag_id]):
        raise HTTPException(403, "You may not read the XComs of this DAG.")


def _teams(dag_ids: Collection[str]) -> dict[str, dict[str, str | None]]:
    """Return the team of each DAG as an argument of ``DagDetails``, where Airflow has teams."""
    if not conf.getboolean("core", "multi_team", fallback=False):
        return {}
    teams = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids))
    return {dag_id: {"team_name": team} for dag_id, team in teams.items()}


class WithHeaders:
    """ASGI middleware that adds ``HEADERS`` to every response, errors included."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Pass the request on."""
        added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Routes:
    """Routes of the page.

    :param gallery: reader of what the page shows.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._reader = Reader()

    def add_to(self, app: FastAPI) -> None:
        """Add every route to an app."""
        routes: dict[str, Callable[..., Any]] = {
            "/videos": self.page,
            "/static/{name}": self.static,
            "/api/videos": self.videos,
            "/api/overview": self.overview,
            "/api/spend": self.spend,
            "/spend.csv": self.spend_csv,
            "/video": self.video,
        }
        for path, endpoint in routes.items():
            app.add_api_route(path, endpoint, methods=["GET"], response_model=None)

    def page(self) -> Response:
        """Return the page; what it shows, its script asks for."""
        return FileResponse(
            STATIC / "videos.html", media_type="text/html", headers={"Cache-Control": NOT_KEPT}
        )

    def static(self, name: str) -> Response:
        """Return a script, a style or a picture of the page."""
        file = {path.name: path for path in STATIC.iterdir()}.get(name)
        if file is None or file.suffix not in MEDIA_TYPES:
            raise HTTPException(404, "There is no such file.")
        headers = {"Cache-Control": KEPT, "Vary": "Cookie"}
        return FileResponse(file, media_type=MEDIA_TYPES[file.suffix], headers=headers)

    def videos(self, user: GetUserDep, asked: Annotated[Filter, Query()]) -> Response:
        """Return a page of cards."""
        scope, readable = self._scope(user, asked)
        found = self._gallery.videos(scope, readable, asked.card_filter(), asked.after())
        allowed = _locations()
        return self._json(
            videos=[_shown(card, allowed, readable) for card in found.cards],
            following=_cursor(found.following),
            unread=found.unread,
            dags=sorted(readable),
            has_locations=bool(allowed),
        )

    def overview(self, user: GetUserDep, asked: Annotated[Filter, Query()]) -> Response:
        """Return the generations in flight and at risk."""
        scope, readable = self._scope(user, asked)
        found, allowed = self._gallery.overview(), _locations()
        in_flight = [
            {**_shown(card, allowed, readable), "usual_seconds": found.usual_seconds(card.model)}
            for card in found.in_flight
            if scope.shows(card)
        ]
        at_risk = [
            {**_shown(entry.card, allowed, readable), "stored_by": entry.task and vars(entry.task)}
            for entry in found.at_risk
            if scope.shows(entry.card)
        ]
        return self._json(in_flight=in_flight, at_risk=at_risk)

    def spend(self, user: GetUserDep, asked: Annotated[Filter, Query()]) -> Response:
        """Return the credits by day, DAG and model."""
        found = self._spend(user, asked)
        return self._json(rows=found.rows(), since=_iso(found.since), until=_iso(found.until))

    def spend_csv(self, user: GetUserDep, asked: Annotated[Filter, Query()]) -> Response:
        """Return the credits by day, DAG and model as a file."""
        found = self._spend(user, asked)
        name = f"veo3-credits-{found.since:%Y%m%d}-{found.until:%Y%m%d}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": NOT_KEPT}
        body = found.as_csv().encode(errors="replace")
        return Response(body, headers=headers, media_type="text/csv; charset=utf-8")

    async def video(
        self,
        user: GetUserDep,
        asked: Annotated[StoredPlace, Query()],
        range_: Annotated[str | None, Header(alias="Range")] = None,
    ) -> Response:
        """Return a stored file, or the range of it that the player asks for."""
        # the database's session is released before the first byte is read
        uri = await run_in_threadpool(self._stored_uri, user, asked)
        file = await self._open(uri)
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": KEPT,
            # or else Airflow compresses the response, and a range of it is none of the file
            "Content-Encoding": "identity",
            "Vary": "Cookie, Authorization",
        }
        try:
            part = byte_range(range_, file.size)
        except UnsatisfiableRangeError:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{file.size}"})
        begin, end = part or (0, file.size)
        headers["Content-Length"] = str(end - begin)
        if part is not None:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{file.size}"
        body = self._reader.stream(file, begin, end)
        return StreamingResponse(body, 200 if part is None else 206, headers, media_type="video/mp4")

    def _scope(self, user: Any, asked: Filter) -> tuple[Scope, frozenset[str]]:
        """Return the scope that the user asks for, and the DAGs that they may read.

        :raises HTTPException: they may not read the DAG that they ask for.
        """
        readable = readable_dags(user, self._gallery.video_dags())
        if asked.dag_id is not None:
            check_may_read(user, asked.dag_id)
        dag_ids = readable if asked.dag_id is None else frozenset([asked.dag_id])
        fields = asked.model_dump(include={"run_id", "task_id", "map_index", "since", "until"})
        return Scope(dag_ids, **fields), readable | dag_ids

    def _spend(self, user: Any, asked: Filter) -> Spend:
        scope, _ = self._scope(user, asked)
        until = asked.until or self._gallery.now
        return self._gallery.spend(scope, asked.since or until - WINDOW, until, asked.model)

    def _stored_uri(self, user: Any, asked: StoredPlace) -> str:
        check_may_read(user, asked.dag_id)
        uri = self._gallery.stored_uri(**asked.model_dump())
        if uri is None:
            raise HTTPException(404, "This task has stored no such video.")
        return uri

    async def _open(self, uri: str) -> StoredFile:
        """Return a file that is a video in one of the locations.

        :raises HTTPException: it is not, or cannot be opened.
        """
        try:
            file = await self._reader.run(lambda: _locations().open(uri))
            await self._reader.run(file.check_is_video)
        except NotAllowedError as error:
            raise HTTPException(403, "The file is not in one of [veo3] gallery_locations.") from error
        except NotAVideoError as error:
            raise HTTPException(403, "The file is not an MP4 video.") from error
        except FileNotFoundError as error:
            raise HTTPException(404, "The file is no longer where it was stored.") from error
        except Exception as error:
            log.exception("The Videos page cannot open %s.", uri)
            raise HTTPException(502, "The storage cannot be reached; see the API server's log.") from error
        return file

    def _json(self, **content: Any) -> Response:
        """Return a response that holds the server's time too, since a browser's may differ."""
        content["now"] = _iso(self._gallery.now)
        # in ASCII: a text of an XCom may hold half a surrogate pair, which no encoding has
        body = json.dumps(content, allow_nan=False)
        return Response(body, headers={"Cache-Control": NOT_KEPT}, media_type="application/json")


def build_app(gallery: Gallery | None = None) -> FastAPI:
    """Return the app that Airflow mounts.

    :param gallery: reader of what the page shows; by default of Airflow's database.
    """
    app = FastAPI(
        title="VEO3 videos",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(get_user), Depends(check_single)],
    )
    app.add_middleware(WithHeaders)
    Routes(gallery or Gallery(partial(create_session, scoped=False))).add_to(app)
    return app


def _locations() -> Locations:
    return Locations(conf.get("veo3", "gallery_locations", fallback="") or "")


def _shown(card: Card, allowed: Locations, readable: frozenset[str]) -> dict[str, Any]:
    """Return a card as JSON, without files of DAGs that the user may not read."""
    fields = card.as_json()
    files = [file for file in fields["files"] if file["dag_id"] in readable]
    return {**fields, "files": [{**file, "plays": allowed.allow(file["uri"])} for file in files]}


def _cursor(cursor: Cursor | None) -> str | None:
    """Return a cursor as text of a URL."""
    if cursor is None:
        return None
    position = cursor.position
    place = None if position is None else {**vars(position), "at": position.at.isoformat()}
    return base64.urlsafe_b64encode(json.dumps([place, cursor.shown]).encode()).decode()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
