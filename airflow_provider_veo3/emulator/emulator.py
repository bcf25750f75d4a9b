"""The emulator as a whole: what a test opens with ``with``, and the command line runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from airflow_provider_veo3.emulator.config.settings import Settings
from airflow_provider_veo3.emulator.controls import Controls
from airflow_provider_veo3.emulator.http.api_app import Api
from airflow_provider_veo3.emulator.http.control_app import control_routes, refuse
from airflow_provider_veo3.emulator.http.files_app import Files
from airflow_provider_veo3.emulator.http.server import Servers, listen, origin
from airflow_provider_veo3.emulator.http.wire import Wire
from airflow_provider_veo3.emulator.service.clock import Clock
from airflow_provider_veo3.emulator.service.world import World
from airflow_provider_veo3.emulator.video.videos import Videos

if TYPE_CHECKING:
    from types import TracebackType


class Emulator(Controls):
    """A local VEO3 API on real sockets, alive inside ``with``.

    :param settings: the options; all have defaults.
    :param clock: the time on the wire; a :class:`FrozenClock` makes every duration a matter of ``advance``.
    """

    def __init__(self, settings: Settings | None = None, *, clock: Clock | None = None) -> None:
        super().__init__(World(settings or Settings(), clock or Clock()))

    def start(self) -> None:
        """Open the ports and answer requests in a background thread."""
        settings = self.settings
        api_listener = listen(settings.host, settings.port)
        try:
            files_listener = listen(settings.host, settings.files_port)
        except OSError:
            api_listener.close()
            raise
        self.base_url, self.files_url = origin(api_listener), origin(files_listener)
        videos = Videos()
        api = Api(self._world, Wire(self.files_url, self._world.signer), videos)
        routes = [*api.routes(), *control_routes(self)]
        app = Starlette(routes=routes, exception_handlers={HTTPException: refuse})
        app.router.redirect_slashes = False
        app.router.default = api.unknown_path()
        files = Files(self._world, videos)
        self._servers = Servers([(api_listener, app), (files_listener, files)], videos.close)
        self._servers.start()

    def stop(self) -> None:
        """Close all connections, and delete the rendered files."""
        self._servers.stop()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()
