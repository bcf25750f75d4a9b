from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from file_host import FileHost, Reply, fetch, mp4, running_file_host

from airflow_provider_veo3.api.models import Video
from airflow_provider_veo3.exceptions import (
    Veo3ApiError,
    Veo3AuthenticationError,
    Veo3CorruptVideoError,
    Veo3Error,
    Veo3GenerationNotFoundError,
    Veo3RateLimitError,
    Veo3StorageError,
    Veo3ValidationError,
    Veo3VideoNotReadyError,
)
from airflow_provider_veo3.storage.destination import CHUNK, Destination
from airflow_provider_veo3.storage.source import Pace
from airflow_provider_veo3.storage.store import StoredVideo, VideoStore
from airflow_provider_veo3.storage.transfer import FRESH_LINKS, TRIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FILENAME = "{generation_id}_{index}.mp4"
ONE, BIG = mp4(300_000), mp4(3 * CHUNK + 12345)


class FakePace(Pace):
    """A clock that stands, and pauses that take no time; being stopped works as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self.threads: set[threading.Thread] = set()

    def now(self) -> datetime:
        return NOW

    def pause(self, seconds: float) -> None:
        self.threads.add(threading.current_thread())
        if seconds:
            self.pauses.append(seconds)
        super().pause(0)


@dataclass
class Api:
    """The API's list of links: per generation, what each further question is answered."""

    answers: dict[str, list[Sequence[str] | Exception]] = field(default_factory=dict)
    expires: list[datetime | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def resolve(self, generation_id: str) -> tuple[Video, ...]:
        self.asked.append(generation_id)
        answers = self.answers[generation_id]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        expires = self.expires.pop(0) if self.expires else None
        return tuple(Video(url, "video/mp4", expires) for url in answer)


@dataclass
class Place:
    """A store under test, and everything around it."""

    host: FileHost
    folder: Path
    api: Api = field(default_factory=Api)
    pace: FakePace = field(default_factory=FakePace)

    def store(self, *ids: str, filename: str = FILENAME, concurrency: int = 4) -> list[StoredVideo]:
        destination = Destination(str(self.folder))
        return VideoStore(
            destination,
            filename=filename,
            resolve=self.api.resolve,
            fetch=fetch,
            max_concurrency=concurrency,
            pace=self.pace,
        ).store(ids or ("veo_1",))

    def offer(self, body: bytes, *script: Reply) -> None:
        """Make ``veo_1`` a generation of one file."""
        self.api.answers["veo_1"] = [[self.host.add("one.mp4", body, *script)]]

    @property
    def visible(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.name[0] != "."}

    @property
    def is_empty(self) -> bool:
        return not any(self.folder.iterdir())

    @property
    def hidden(self) -> list[str]:
        return [path.name for path in self.folder.iterdir() if path.name[0] == "."]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with running_file_host() as host:
        yield Place(host, tmp_path)


def test_a_video_is_stored_and_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.offer(BIG)
    with caplog.at_level(logging.INFO):
        (video,) = place.store()
    sha256 = hashlib.sha256(BIG).hexdigest()
    uri = f"file://{place.folder}/veo_1_0.mp4"
    assert video.as_json() == {
        "generation_id": "veo_1",
        "index": 0,
        "uri": uri,
        "size": len(BIG),
        "sha256": sha256,
        "mime_type": "video/mp4",
    }
    assert place.visible == {"veo_1_0.mp4": BIG}
    assert place.hidden == []
    (line,) = (r.getMessage() for r in caplog.records if "Stored" in r.getMessage())
    assert uri in line
    assert sha256[:12] in line
    assert "secret" not in caplog.text


def test_an_observer_never_sees_a_part_of_a_file(place: Place) -> None:
    place.host.piece = CHUNK // 16  # look often
    place.offer(BIG, Reply(cut=2 * CHUNK))
    seen: list[dict[str, bytes]] = []
    place.host.watch = lambda sent: seen.append(place.visible)
    place.store()
    assert len(seen) > 40
    # the last look may come after the last byte was taken, and the file published
    assert all(files == {} for files in seen[:-1])
    assert seen[-1] in ({}, {"veo_1_0.mp4": BIG})
    assert place.visible == {"veo_1_0.mp4": BIG}


def test_a_broken_connection_is_resumed_where_it_broke(place: Place) -> None:
    place.offer(BIG, Reply(cut=CHUNK + 7), Reply(cut=CHUNK))
    (video,) = place.store()
    assert video.sha256 == hashlib.sha256(BIG).hexdigest()
    assert place.visible == {"veo_1_0.mp4": BIG}
    first, *others = place.host.ranges("one.mp4")
    assert first is None
    starts = [int(each.removeprefix("bytes=").rstrip("-")) for each in others if each]
    assert 0 < starts[0] <= CHUNK + 7 < starts[1] <= 2 * CHUNK + 7
    etag = f'"{hashlib.md5(BIG, usedforsecurity=False).hexdigest()}"'
    assert [each.headers.get("if-range") for each in place.host.asked] == [None, etag, etag]
    assert place.pace.pauses == [1, 1]  # both tries brought something new


def test_a_body_of_unannounced_length_is_accepted_when_its_boxes_end_with_it(place: Place) -> None:
    place.offer(BIG, Reply(headers={"Content-Length": None}))
    place.store()
    assert place.visible == {"veo_1_0.mp4": BIG}


@pytest.mark.parametrize("length", [None, str(CHUNK)])
def test_half_a_file_that_is_sent_as_a_whole_one_is_not_published(place: Place, length: str | None) -> None:
    half = Reply(headers={"Content-Length": length}, cut=CHUNK)
    place.offer(BIG, half)
    place.store()
    assert place.visible == {"veo_1_0.mp4": BIG}
    (place.folder / "veo_1_0.mp4").unlink()
    place.offer(BIG, *[half] * TRIES)
    with pytest.raises(Veo3CorruptVideoError, match=r"cut off.*'mdat'"):
        place.store()
    assert place.is_empty


def test_without_an_etag_the_announced_length_allows_to_resume(place: Place) -> None:
    bare = {"ETag": None}
    place.offer(BIG, Reply(headers=bare, cut=CHUNK + 7), Reply(headers=bare))
    place.store()
    assert place.host.ranges("one.mp4")[0] is None
    assert place.host.ranges("one.mp4")[1] is not None
    assert place.visible == {"veo_1_0.mp4": BIG}


def test_a_host_that_ignores_the_range_sends_it_all_once_more(place: Place) -> None:
    place.offer(BIG, Reply(cut=2 * CHUNK), Reply(ignore_range=True))
    place.store()
    assert len(place.host.asked) == 2
    assert place.visible == {"veo_1_0.mp4": BIG}


def test_a_file_that_changed_meanwhile_is_taken_from_its_beginning(place: Place) -> None:
    place.offer(BIG, Reply(cut=2 * CHUNK))
    other = mp4(len(BIG), seed=1)

    def change(sent: int) -> None:
        if sent == 2 * CHUNK:
            place.host.files["/one.mp4"] = other

    place.host.watch = change
    place.store()
    assert place.visible == {"veo_1_0.mp4": other}


@pytest.mark.parametrize(
    "wrong",
    [
        Reply(status=206, body=BIG[9:], headers={"Content-Range": f"bytes 9-{len(BIG) - 1}/{len(BIG)}"}),
        Reply(status=206, body=BIG[9:], headers={"Content-Range": None}),
        Reply(status=416),
    ],
)
def test_a_wrong_part_is_thrown_away_with_what_it_was_to_continue(place: Place, wrong: Reply) -> None:
    place.offer(BIG, Reply(cut=2 * CHUNK), wrong)
    place.store()
    assert [each is None for each in place.host.ranges("one.mp4")] == [True, False, True]
    assert place.visible == {"veo_1_0.mp4": BIG}


def test_a_length_that_is_never_reached_is_a_corrupt_video(place: Place) -> None:
    longer = Reply(headers={"Content-Length": str(len(ONE) + 1)})
    place.offer(ONE, longer, *[Reply(status=416), longer] * TRIES)
    with pytest.raises(Veo3CorruptVideoError, match=r"veo_1 file 0.*Nothing was stored.*24 hours"):
        place.store()
    assert place.visible == {}
    assert place.hidden == []


def test_a_part_that_runs_beyond_the_end_is_never_published(place: Place) -> None:
    start = 2 * CHUNK
    spill = Reply(
        status=206,
        body=BIG[start:] + b"more" * 10 * CHUNK,
        headers={"Content-Range": f"bytes {start}-{len(BIG) - 1}/{len(BIG)}", "Content-Length": None},
    )
    place.offer(BIG, Reply(cut=start), spill)
    sizes: list[int] = []
    place.host.watch = lambda sent: sizes.extend(file.stat().st_size for file in place.folder.glob(".*"))
    place.store()
    assert max(sizes) <= len(BIG) + CHUNK  # a body without an end must not fill the disk
    assert place.host.ranges("one.mp4") == [None, f"bytes={start}-", None]
    assert place.visible == {"veo_1_0.mp4": BIG}


@pytest.mark.parametrize(
    ("headers", "body", "shown"),
    [
        ({"Content-Type": "text/html"}, ONE, "text/html that is no MP4 video and begins"),
        ({"Content-Type": "text/html"}, b"<h1>It works</h1>", "<h1>It works</h1>"),
        ({}, b"<html>Sign in at http://h/x?token=secret", "<html>Sign in at http://h/x"),
        ({"Content-Type": None}, b"\x00\x00\x00\x18moov" + b"\x00" * 40, "moov"),
        ({"Content-Encoding": "gzip"}, b"\x1f\x8b\x08" + b"\x00" * 40, "x1f"),
        ({}, b"", "empty"),
    ],
)
def test_what_is_no_video_is_refused_and_shown(
    place: Place, headers: dict[str, str | None], body: bytes, shown: str
) -> None:
    place.offer(ONE, *[Reply(headers=headers, body=body)] * 9)
    opened: list[Path] = []
    place.host.watch = lambda sent: opened.extend(place.folder.iterdir())
    with pytest.raises(Veo3CorruptVideoError) as caught:
        place.store()
    assert shown in str(caught.value)
    assert "secret" not in str(caught.value)
    assert opened == []  # not a byte of it was written anywhere
    assert place.is_empty
    assert len(place.api.asked) == 1 + FRESH_LINKS  # such a page may be what an old link leads to


def test_a_refused_link_is_asked_for_anew_and_the_file_continued(place: Place) -> None:
    first = place.host.add("old.mp4", BIG, Reply(cut=2 * CHUNK), Reply(status=403))
    place.api.answers["veo_1"] = [[first], [place.host.add("new.mp4", BIG)]]
    place.store()
    assert place.api.asked == ["veo_1", "veo_1"]
    assert place.host.ranges("new.mp4") == [f"bytes={2 * CHUNK}-"]
    assert place.visible == {"veo_1_0.mp4": BIG}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_links_that_stay_refused_end_it_with_what_is_left_to_do(place: Place, status: int) -> None:
    place.offer(ONE, *[Reply(status=status)] * 9)
    with pytest.raises(Veo3StorageError, match=rf"veo_1 file 0.*\({status}\).*24 hours.*paid") as caught:
        place.store()
    assert not isinstance(caught.value, Veo3CorruptVideoError)
    assert len(place.host.asked) == 1 + FRESH_LINKS
    assert "secret" not in str(caught.value)


def test_a_link_about_to_expire_is_replaced_before_it_is_used(place: Place) -> None:
    place.api.answers["veo_1"] = [[place.host.add("old.mp4", ONE)], [place.host.add("new.mp4", ONE)]]
    place.api.expires = [NOW + timedelta(seconds=30), NOW + timedelta(hours=24)]
    place.store()
    assert [each.path.partition("?")[0] for each in place.host.asked] == ["/new.mp4"]


def test_a_link_that_is_always_called_expired_is_tried_nevertheless(place: Place) -> None:
    place.offer(ONE)
    place.api.expires = [NOW - timedelta(hours=1)] * 9
    place.store()
    assert place.visible == {"veo_1_0.mp4": ONE}


def test_a_busy_host_is_waited_for_as_it_asks(place: Place) -> None:
    busy = [Reply(status=503), Reply(status=429, headers={"Retry-After": "7"}), Reply(status=500)]
    place.offer(ONE, *busy)
    place.store()
    assert place.pace.pauses == [1, 7, 4]
    assert place.visible == {"veo_1_0.mp4": ONE}


def test_a_host_that_stays_busy_is_given_up(place: Place) -> None:
    place.offer(ONE, *[Reply(status=503)] * 9)
    with pytest.raises(Veo3StorageError, match=r"503.*retry of this task"):
        place.store()
    assert len(place.host.asked) == TRIES
    assert place.pace.pauses == [1, 2, 4, 8]


def test_the_key_is_never_sent_to_the_file_host(place: Place) -> None:
    place.offer(BIG, Reply(cut=CHUNK), Reply(status=403))
    place.store()
    for asked in place.host.asked:
        assert "authorization" not in asked.headers
        assert "veo3_" not in str(asked.headers)


def test_a_retry_recognises_what_is_stored_whole(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.offer(BIG)
    first = place.store()
    before = (place.folder / "veo_1_0.mp4").stat()
    with caplog.at_level(logging.INFO):
        assert place.store() == first
    after = (place.folder / "veo_1_0.mp4").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "Already stored" in caplog.text


def test_a_stored_file_of_another_size_is_replaced_with_a_warning(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.offer(BIG)
    (place.folder / "veo_1_0.mp4").write_bytes(BIG[:1000])
    seen: list[int] = []
    place.host.watch = lambda sent: seen.append(len(place.visible["veo_1_0.mp4"]))
    place.store()
    assert place.visible == {"veo_1_0.mp4": BIG}
    assert set(seen[:-1]) == {1000}
    assert "replaced a file of 1000 bytes" in caplog.text


def test_a_name_without_the_id_is_never_taken_for_the_same_video(place: Place) -> None:
    place.offer(ONE)
    (place.folder / "latest.mp4").write_bytes(mp4(len(ONE), seed=9))
    place.store(filename="latest.mp4")
    assert place.visible == {"latest.mp4": ONE}


def test_an_old_task_that_is_run_again_keeps_its_file_when_the_links_are_gone(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.offer(ONE)
    first = place.store()
    place.offer(ONE, *[Reply(status=403)] * 9)
    assert place.store() == first
    assert "kept unconfirmed" in caplog.text


def test_several_files_of_several_generations_are_fetched_together(place: Place) -> None:
    together = threading.Barrier(4, timeout=30)
    place.host.piece = 10**6

    def meet(sent: int) -> None:
        together.wait()

    place.host.watch = meet
    bodies: dict[str, bytes] = {}
    for each in ("veo_a", "veo_b"):
        for index in (0, 1):
            bodies[f"{each}_{index}.mp4"] = mp4(10_000 + len(bodies), seed=len(bodies))
        place.api.answers[each] = [
            [place.host.add(f"{each}_{index}.mp4", bodies[f"{each}_{index}.mp4"]) for index in (0, 1)]
        ]
    videos = place.store("veo_a", "veo_b")
    expected = [("veo_a", 0), ("veo_a", 1), ("veo_b", 0), ("veo_b", 1)]
    assert [(video.generation_id, video.index) for video in videos] == expected
    assert place.visible == bodies


@pytest.mark.parametrize("concurrency", [1, 2])
def test_no_more_are_fetched_at_once_than_allowed(place: Place, concurrency: int) -> None:
    links = [place.host.add(f"{index}.mp4", mp4(200_000, index)) for index in range(6)]
    place.api.answers["veo_1"] = [links]
    assert len(place.store(concurrency=concurrency)) == 6
    assert len(place.pace.threads - {threading.current_thread()}) <= concurrency


def test_one_failure_costs_no_other_video_and_the_error_tells_all(place: Place) -> None:
    place.api.answers = {
        "veo_a": [[place.host.add("a0", ONE), place.host.add("a1", ONE, *[Reply(status=403)] * 9)]],
        "veo_b": [Veo3VideoNotReadyError("veo_b has not finished")],
        "veo_c": [[place.host.add("c0", ONE)]],
    }
    with pytest.raises(Veo3StorageError) as caught:
        place.store("veo_a", "veo_b", "veo_c")
    assert sorted(place.visible) == ["veo_a_0.mp4", "veo_c_0.mp4"]
    message = str(caught.value)
    for told in ("veo_a file 1", "403", "veo_b has not finished", "veo_a_0.mp4", "veo_c_0.mp4"):
        assert told in message
    place.api.answers["veo_a"] = [[place.host.link("a0"), place.host.add("a1", ONE)]]
    place.api.answers["veo_b"] = [[place.host.add("b0", ONE)]]
    place.host.watch = lambda sent: None
    videos = place.store("veo_a", "veo_b", "veo_c")
    assert [video.index for video in videos] == [0, 1, 0, 0]


def test_the_only_failure_is_raised_as_it_is(place: Place) -> None:
    error = Veo3GenerationNotFoundError("no such generation")
    place.api.answers["veo_1"] = [error]
    with pytest.raises(Veo3GenerationNotFoundError) as caught:
        place.store()
    assert caught.value is error


def test_failures_that_no_retry_mends_fail_the_task_at_once(place: Place) -> None:
    for each in ("veo_a", "veo_b"):
        place.api.answers[each] = [Veo3GenerationNotFoundError(f"no {each}")]
    with pytest.raises(Veo3GenerationNotFoundError, match=r"a retry would fail alike.*no veo_a.*no veo_b"):
        place.store("veo_a", "veo_b")


@pytest.mark.parametrize("error", [Veo3AuthenticationError("refused"), Veo3RateLimitError("refused")])
def test_what_the_api_refuses_for_all_is_not_tried_for_every_generation(
    place: Place, error: Veo3ApiError
) -> None:
    place.api.answers = {name: [error] for name in ("veo_a", "veo_b", "veo_c")}
    with pytest.raises(type(error)):
        place.store("veo_a", "veo_b")
    assert place.api.asked == ["veo_a"]
    place.api.answers["veo_a"] = [[place.host.add("a0", ONE)]]
    with pytest.raises(Veo3Error, match=r"while 1 files were stored.*veo_b and 1 behind it: refused"):
        place.store("veo_a", "veo_b", "veo_c")
    assert list(place.visible) == ["veo_a_0.mp4"]
    assert "veo_c" not in place.api.asked


def test_names_that_would_meet_are_refused_before_a_file_is_fetched(place: Place) -> None:
    with pytest.raises(Veo3ValidationError, match=r"filename='same\.mp4'"):
        place.store("veo_a", "veo_b", filename="same.mp4")
    assert place.api.asked == []
    place.api.answers["veo_1"] = [[place.host.add("a", ONE), place.host.add("b", ONE)]]
    with pytest.raises(Veo3ValidationError, match=r"two files got 'veo_1\.mp4'"):
        place.store(filename="{generation_id}.mp4")
    assert place.host.asked == []


@pytest.mark.parametrize("value", [0, 17, True, 2.0, "4", None])
def test_a_concurrency_out_of_bounds_is_refused(place: Place, value: Any) -> None:
    with pytest.raises(Veo3ValidationError, match=r"max_concurrency=.*from 1 to 16"):
        place.store(concurrency=value)


def test_a_fresh_list_of_links_may_have_lost_the_file(place: Place) -> None:
    links = [place.host.add("a", ONE), place.host.add("b", ONE, Reply(status=403))]
    place.api.answers["veo_1"] = [links, links[:1]]
    with pytest.raises(Veo3StorageError, match=r"veo_1 file 1.*lists 1 files"):
        place.store()
    assert sorted(place.visible) == ["veo_1_0.mp4"]


def test_trouble_with_the_api_while_a_link_is_renewed_is_told(place: Place) -> None:
    link = place.host.add("a", ONE, Reply(status=403))
    place.api.answers["veo_1"] = [[link], Veo3GenerationNotFoundError("gone")]
    with pytest.raises(Veo3GenerationNotFoundError):
        place.store()


def test_a_stopped_task_leaves_nothing_behind(place: Place) -> None:
    place.offer(BIG)
    place.host.watch = lambda sent: place.pace.stop() if sent >= CHUNK else None
    with pytest.raises(Veo3StorageError, match="the task was ended"):
        place.store()
    assert place.is_empty


class Timeout(BaseException):
    """As Airflow's own, which a handler raises in the main thread."""


def test_a_timeout_ends_what_runs_and_leaves_no_half_file(place: Place) -> None:
    started, stopped = threading.Event(), threading.Event()

    class TimedApi(Api):
        def resolve(self, generation_id: str) -> tuple[Video, ...]:
            if generation_id == "veo_2":
                assert started.wait(30)
                raise Timeout
            return super().resolve(generation_id)

    class TimedPace(FakePace):
        def stop(self) -> None:
            super().stop()
            stopped.set()

    def hold(sent: int) -> None:
        if sent == CHUNK:
            started.set()
            stopped.wait(10)

    place.api, place.pace = TimedApi(), TimedPace()
    place.offer(BIG)
    place.host.watch = hold
    with pytest.raises(Timeout):
        place.store("veo_1", "veo_2")
    assert place.is_empty


def test_a_task_ended_while_it_asks_for_links_says_so(place: Place) -> None:
    place.pace.stop()
    with pytest.raises(Veo3StorageError, match="veo_1 was not stored: the task was ended"):
        place.store("veo_1", "veo_2")
    assert place.api.asked == []


def test_a_full_disk_is_told_and_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource
    import signal

    place.offer(BIG)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK, hard))
    try:
        with pytest.raises(Veo3StorageError, match=r"veo_1_0\.mp4 could not be written.*credits are spent"):
            place.store()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert place.is_empty


def test_two_tasks_storing_the_same_video_both_succeed(place: Place) -> None:
    place.offer(BIG)
    both = threading.Barrier(2, timeout=30)

    def meet(sent: int) -> None:
        if sent == CHUNK:
            both.wait()

    place.host.watch = meet
    results: list[list[StoredVideo]] = []
    threads = [threading.Thread(target=lambda: results.append(place.store())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 2
    assert results[0] == results[1]
    assert place.visible == {"veo_1_0.mp4": BIG}
    assert place.hidden == []


def test_memory_stays_flat_whatever_the_size(place: Place) -> None:
    import tracemalloc

    def peak(size: int) -> int:
        place.api.answers["veo_1"] = [[place.host.add(f"{size}.mp4", mp4(size))]]
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        place.store(filename=f"{{generation_id}}_{size}.mp4")
        return tracemalloc.get_traced_memory()[1] - held

    place.host.piece = CHUNK
    peak(CHUNK)  # what is imported and cached at first use is no part of it
    tracemalloc.start()
    try:
        small, large = peak(4 * CHUNK), peak(64 * CHUNK)
    finally:
        tracemalloc.stop()
    assert large < small + 2 * CHUNK
    assert large < 8 * CHUNK


KILLED = """
import sys
from airflow_provider_veo3.storage.destination import Destination
sys.path.insert(0, sys.argv[3])
from file_host import fetch
from airflow_provider_veo3.api.models import Video
from airflow_provider_veo3.storage.store import VideoStore
from airflow_provider_veo3.storage.source import Pace
VideoStore(
    Destination(sys.argv[1]), filename="{generation_id}_{index}.mp4",
    resolve=lambda generation_id: (Video(sys.argv[2], "video/mp4", None),),
    fetch=fetch, max_concurrency=1, pace=Pace(),
).store(["veo_1"])
"""


def test_a_worker_killed_in_the_middle_leaves_nothing_to_be_seen_and_a_retry_succeeds(place: Place) -> None:
    place.offer(BIG)
    arguments = [str(place.folder), place.host.link("one.mp4"), str(Path(__file__).parent)]
    half, dead = threading.Event(), threading.Event()

    def hold(sent: int) -> None:
        if sent == 3 * CHUNK:
            half.set()
            dead.wait(60)

    place.host.watch = hold
    worker = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    try:
        assert half.wait(60)
        while sum(path.stat().st_size for path in place.folder.iterdir()) < CHUNK:
            assert worker.poll() is None
        worker.kill()
    finally:
        worker.kill()
        worker.wait()
        dead.set()
    assert place.visible == {}
    assert len(place.hidden) == 1
    place.host.watch = None
    place.store()
    assert place.visible == {"veo_1_0.mp4": BIG}
