"""The emulator: the service on real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from airflow_provider_veo3.emulator.config.settings import Settings
from airflow_provider_veo3.emulator.http.api_app import ApiApp
from airflow_provider_veo3.emulator.http.control_app import control_routes, refuse
from airflow_provider_veo3.emulator.http.files_app import FilesApp
from airflow_provider_veo3.emulator.http.server import Servers, listen, origin
from airflow_provider_veo3.emulator.service.clock import Clock
from airflow_provider_veo3.emulator.service.service import Service
from airflow_provider_veo3.emulator.video.store import VideoStore

if TYPE_CHECKING:
    from types import TracebackType


class Emulator(Service):
    """A local VEO3 API on real sockets, which runs inside ``with``.

    The controls are safe to call from any thread.

    :param settings: options of the emulator; by default those of ``Settings()``.
    :param clock: clock of all timestamps and durations, by default the wall clock; with a
        :class:`FrozenClock` time passes only by :meth:`advance`.
    """

    def __init__(self, settings: Settings | None = None, *, clock: Clock | None = None) -> None:
        super().__init__(settings or Settings(), clock or Clock())
        self.base_url = ""
        """URL of the API."""
        self.files_url = ""
        """URL of the file host."""

    def start(self) -> None:
        """Open the ports, and serve requests in a background thread."""
        settings = self.settings
        api_listener = listen(settings.host, settings.port)
        try:
            files_listener = listen(settings.host, settings.files_port)
        except OSError:
            api_listener.close()
            raise
        self.base_url, self.files_url = origin(api_listener), origin(files_listener)
        store = VideoStore()
        api = ApiApp(self, store, self.files_url)
        routes = [*api.routes(), *control_routes(self, self.base_url, self.files_url)]
        app = Starlette(routes=routes, exception_handlers={HTTPException: refuse})
        app.router.redirect_slashes = False
        app.router.default = api.unknown_path()
        self._servers = Servers([(api_listener, app), (files_listener, FilesApp(self, store))], store.close)
        self._servers.start()

    def stop(self) -> None:
        """Close all connections, and delete the rendered files."""
        self._servers.stop()

    def __enter__(self) -> Self:
        """Start the emulator."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the emulator."""
        self.stop()
