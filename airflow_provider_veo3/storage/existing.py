"""File that exists under the name of a video to store: recognised, replaced, or in the way."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from airflow_provider_veo3.exceptions import REASON_LENGTH, Veo3ValidationError, shown_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_veo3.storage.destination import Destination


class ExistingFile:
    """File that exists under a name, or ``None`` of it.

    A name with the generation id in it belongs to the generation: a file of the announced size is its video,
    and any other file is a leftover that is replaced. Under any other name, a file may be the video of
    another generation, which was paid for: it stays unless it has the same bytes, which only the download
    shows, or may be replaced.

    :param destination: folder that the file is in.
    :param name: name of the file.
    :param label: the video to store, for the error.
    :param has_own_name: whether the name belongs to the generation.
    :param overwrite: whether a file of another generation may be replaced.
    :param pause: called between two pieces of a file that is read; raises when the task is being ended.
    """

    def __init__(
        self,
        destination: Destination,
        name: str,
        label: str,
        *,
        has_own_name: bool,
        overwrite: bool,
        pause: Callable[[float], None],
    ) -> None:
        self._destination = destination
        self._name = name
        self._label = label
        self._has_own_name = has_own_name
        self.is_protected = not (has_own_name or overwrite)
        """Whether a file under the name stays unless it has the bytes of the video."""
        self._pause = pause
        self.size = destination.size(name)

    @property
    def is_own(self) -> bool:
        """Return whether there is a file, and it is of this generation."""
        return self._has_own_name and self.size is not None

    def has_size(self, total: int | None) -> bool:
        """Return whether the file is the video, by the size that a host announces.

        :raises Veo3ValidationError: it is another video, which may not be replaced.
        """
        if total is None or self.size is None:
            return False
        if self.is_protected and total != self.size:
            raise self._conflict()
        return self._has_own_name and total == self.size

    def is_same(self, size: int, sha256: str) -> bool:
        """Return whether a protected file has the bytes of the video.

        :raises Veo3ValidationError: it is another video, which may not be replaced.
        """
        if not self.is_protected:
            return False
        self.size = self._destination.size(self._name)  # another task may have stored it meanwhile
        if self.size is None:
            return False
        if size != self.size or sha256 != self.hash()[1]:
            raise self._conflict()
        return True

    def hash(self) -> tuple[int, str]:
        """Return the bytes and the SHA-256 of the file, in hexadecimal."""
        size, digest = 0, hashlib.sha256()
        for chunk in self._destination.read(self._name):
            self._pause(0)
            size += len(chunk)
            digest.update(chunk)
        return size, digest.hexdigest()

    def _conflict(self) -> Veo3ValidationError:
        uri = shown_text(self._destination.uri(self._name), REASON_LENGTH)
        return Veo3ValidationError(
            f"{self._label} was not stored: {uri} is another video, of {self.size} bytes, which was not"
            " replaced. The generation's credits are spent, and its links work about 24 hours from its"
            " completion. Put {generation_id} into `filename`, or set overwrite=True, then clear this task,"
            " which costs no credits.",
            field="filename",
            value=self._name,
            allowed="a name that no other video has",
        )
