"""Who sees what on the Videos page: a running API server, and a user who may not read everything."""

from __future__ import annotations

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.airflow_versions import AIRFLOW

if TYPE_CHECKING:
    from tests.plugins.conftest import Seen

pytestmark = pytest.mark.skipif(AIRFLOW < (3, 1), reason="Airflow 3.0 has no Videos page")

LISTS = ("/veo3/api/videos", "/veo3/api/overview", "/veo3/api/spend", "/veo3/spend.csv")
OTHERS = ("hidden_dag", "closed_dag", "hidden_stores", "stored_by_hidden")


@pytest.fixture(scope="module")
def alice(seen: Seen) -> httpx.Client:
    return seen.server.client("alice")


@pytest.fixture(scope="module")
def bob(seen: Seen) -> httpx.Client:
    return seen.server.client("bob")


def routes() -> list[str]:
    from airflow_provider_veo3.plugins.app import build_app

    paths = [route.path for route in build_app().routes]  # type: ignore[attr-defined]
    assert len(paths) >= 7
    return [f"/veo3{path}" for path in paths]


def test_no_route_answers_anonymously(seen: Seen) -> None:
    anonymous = seen.server.client()
    place = seen.place("open_dag")
    for path in routes():
        for params in ({}, place, {"dag_id": "open_dag"}):
            response = anonymous.get(path.replace("{name}", "videos.js"), params=params)
            assert response.status_code == 401, path
            assert "open_dag" not in response.text
    for path in ("/veo3/", "/veo3/docs", "/veo3/openapi.json", "/veo3/redoc", "/veo3/static/"):
        assert anonymous.get(path).status_code in (307, 401, 404), path
    wrong = httpx.get(
        f"{seen.server.url}/veo3/api/videos", headers={"Authorization": "Bearer x.y.z"}, trust_env=False
    )
    assert wrong.status_code in (401, 403)


def test_the_cookie_of_a_browser_is_enough(seen: Seen) -> None:
    browser = seen.server.client()
    browser.cookies.set("_token", seen.server.token("bob"))
    assert browser.get("/veo3/api/videos").status_code == 200
    assert browser.get("/veo3/video", params=seen.place("open_dag")).status_code == 200
    assert browser.get("/veo3/video", params=seen.place("hidden_dag")).status_code == 403


@pytest.mark.parametrize("path", LISTS)
def test_a_list_holds_only_dags_whose_xcoms_the_user_may_read(
    seen: Seen, alice: httpx.Client, bob: httpx.Client, path: str
) -> None:
    for params in ({}, {"dag_id": "open_dag"}, {"task_id": "download"}, {"words": "secret"}):
        if path == LISTS[3] and "words" in params:
            continue
        response = bob.get(path, params=params)
        assert response.status_code == 200
        assert [other for other in OTHERS if other in response.text] == [], params
    assert "open_dag" in bob.get(path).text
    whole = alice.get(path).text
    assert all(dag_id in whole for dag_id in ("open_dag", "hidden_dag", "closed_dag"))


@pytest.mark.parametrize("dag_id", ["hidden_dag", "closed_dag"])
def test_asking_for_another_dag_is_forbidden(
    seen: Seen, alice: httpx.Client, bob: httpx.Client, dag_id: str
) -> None:
    for path in LISTS:
        response = bob.get(path, params={"dag_id": dag_id})
        assert (response.status_code, "secret" in response.text) == (403, False)
        assert alice.get(path, params={"dag_id": dag_id}).status_code == 200
    response = bob.get("/veo3/video", params=seen.place(dag_id))
    assert (response.status_code, len(response.content) < 200) == (403, True)
    assert alice.get("/veo3/video", params=seen.place(dag_id)).status_code == 200


def test_a_video_that_a_hidden_dag_has_stored_is_not_offered(
    seen: Seen, alice: httpx.Client, bob: httpx.Client
) -> None:
    def files(client: httpx.Client) -> list[str]:
        cards = client.get("/veo3/api/videos", params={"dag_id": "open_dag"}).json()["videos"]
        (card,) = [card for card in cards if card["id"] == "veo_3_open_dag"]
        return [file["dag_id"] for file in card["files"]]

    assert files(alice) == ["hidden_stores"]
    assert files(bob) == []


def test_doubled_and_odd_parameters_never_widen_access(seen: Seen, bob: httpx.Client) -> None:
    fine, hidden = seen.place("open_dag"), seen.place("hidden_dag")
    doubled = [
        [*fine.items(), ("dag_id", "hidden_dag")],
        [("dag_id", "hidden_dag"), *fine.items()],
        [*hidden.items(), ("dag_id", "open_dag")],
        [*fine.items(), ("run_id", hidden["run_id"])],
        [*fine.items(), ("dag_id", "open_dag")],
    ]
    for params in doubled:
        for path in ("/veo3/video", *LISTS):
            response = bob.get(path, params=params)  # type: ignore[arg-type]
            assert response.status_code == 400, (path, params)
    odd: list[dict[str, Any]] = [
        {**fine, "dag_id": "~"},
        {**fine, "dag_id": ""},
        {**fine, "dag_id": "hidden_dag\0"},
        {**fine, "dag_id": "HIDDEN_DAG"},
        {**fine, "dag_id": "%"},
        {**fine, "dag_id": "hidden%"},
        {**hidden, "dag_id": "open_dag"},
        {**fine, "dag_id[]": "hidden_dag"},
        {**fine, "number": -1},
        {**fine, "number": 10**30},
        {**fine, "number": 5},
        {**fine, "map_index": -2},
        {**fine, "map_index": "{MAP_INDEX}"},
        {**fine, "uri": "file:///etc/passwd"},
        {**fine, "task_id": "generate"},
        {**fine, "task_id": "x" * 300},
        {},
    ]
    for params in odd:
        response = bob.get("/veo3/video", params=params)
        assert response.status_code in (400, 403, 404, 422), params
        assert b"ftyp" not in response.content
    for params in odd:
        for path in LISTS:
            text = bob.get(path, params=params).text
            assert [
                other for other in OTHERS if f"veo_1_{other}" in text or f"secret of {other}" in text
            ] == []


def cursor_at(**changes: Any) -> str:
    place = {"at": "2026-01-01T00:00Z", "dag_run_id": 1, "task_id": "generate", "map_index": 0, "key": "k"}
    return base64.urlsafe_b64encode(json.dumps([place | changes, 0]).encode()).decode()


def test_an_odd_filter_is_refused(alice: httpx.Client) -> None:
    for params in (
        {"status": "anything"},
        {"since": "yesterday"},
        {"nothing": "like this"},
        {"words": "x" * 201},
        {"before": "x" * 2001},
        {"map_index": 2**63},
    ):
        assert alice.get("/veo3/api/videos", params=params).status_code == 422, params
    refused = ["x", "bnVsbA==", "WzEsMl0=", "WyJ7fSIsIDBd", "W251bGwsICJ4Il0=", "8J+YgA=="]
    refused += [base64.urlsafe_b64encode(b"[null, Infinity]").decode(), cursor_at(key="\ud800")]
    refused += [
        cursor_at(at="0001-01-01T00:00+14:00"),
        cursor_at(dag_run_id=2**63),
        cursor_at(map_index=2**63),
    ]
    for cursor in refused:
        assert alice.get("/veo3/api/videos", params={"before": cursor}).status_code == 400, cursor
    zoneless = "2026-01-01T00:00"
    for params in (
        {"status": ""},
        {"map_index": "{MAP_INDEX}"},
        {"since": zoneless},
        {"before": cursor_at(at=zoneless)},
    ):
        assert alice.get("/veo3/api/videos", params=params).status_code == 200, params


@pytest.mark.parametrize("moment", ["0001-01-15", "0001-01-01T00:00+14:00", "9999-12-31T23:59-05:00"])
def test_a_time_that_cannot_be_calculated_with_is_refused(alice: httpx.Client, moment: str) -> None:
    for path in LISTS:
        for name in ("since", "until"):
            response = alice.get(path, params={name: moment})
            assert (response.status_code, response.json()) == (
                400,
                {"detail": "A time must be in the years 2 to 9998."},
            ), (path, name)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "{videos}/../secret.mp4",
        "{videos}/deep/../../secret.mp4",
        "{videos}-of-others/a.mp4",
        "{videos}/link.mp4",
        "{videos}/open_dag.mp4::file:///etc/passwd",
        "{videos}/notes.mp4",
        "http://127.0.0.1:1/a.mp4",
        "https://example.com/a.mp4",
        "s3://aws_default@bucket/a.mp4",
        "ftp://127.0.0.1/a.mp4",
        "memory://a.mp4",
        "data:video/mp4;base64,AAAA",
    ],
)
def test_only_videos_in_the_locations_are_opened_whatever_an_xcom_was_edited_to(
    seen: Seen, bob: httpx.Client, uri: str
) -> None:
    outside = seen.videos.parent
    (outside / "secret.mp4").write_bytes(b"\0\0\0\x18ftypmp42 a secret outside")
    (outside / "videos-of-others").mkdir(exist_ok=True)
    (outside / "videos-of-others" / "a.mp4").write_bytes(b"\0\0\0\x18ftypmp42 a secret outside")
    (seen.videos / "notes.mp4").write_bytes(b"a secret that is no video")
    if not (seen.videos / "link.mp4").is_symlink():
        (seen.videos / "link.mp4").symlink_to(outside / "secret.mp4")
    given = uri.replace("{videos}", f"file://{seen.videos}")
    run = seen.runs["open_dag"]
    path = f"/api/v2/dags/open_dag/dagRuns/{run.run_id}/taskInstances/generate/xcomEntries"
    edited = [{"generation_id": "veo_1_edited", "index": 0, "uri": given, "size": 1}]
    # the limited user may edit the XComs of the open DAG: Airflow takes anything
    body = {"value": edited, "map_index": -1}
    if bob.post(path, json={"key": "return_value", **body}).status_code != 201:
        assert bob.patch(f"{path}/return_value", json=body).status_code == 200
    response = bob.get("/veo3/video", params={**seen.place("open_dag"), "task_id": "generate"})
    assert response.status_code == 403
    assert b"secret" not in response.content.replace(given.encode(), b"")
    assert b"root:" not in response.content


def test_a_missing_file_is_told_from_a_forbidden_one(seen: Seen, bob: httpx.Client) -> None:
    from datetime import UTC, datetime

    uri = f"file://{seen.videos}/gone.mp4"
    seen.runs["open_dag"].store([("veo_1_gone", uri)], datetime.now(UTC), map_index=7)
    response = bob.get("/veo3/video", params={**seen.place("open_dag"), "map_index": 7})
    assert (response.status_code, response.json()["detail"]) == (
        404,
        "The file is no longer where it was stored.",
    )


def test_every_response_has_the_headers_that_keep_scripts_out(seen: Seen, alice: httpx.Client) -> None:
    paths = [
        "/veo3/videos",
        "/veo3/static/videos.js",
        "/veo3/static/videos.css",
        "/veo3/static/nothing",
        "/veo3/nothing",
        "/veo3/api/videos",
        "/veo3/api/videos?status=x",
        "/veo3/video",
    ]
    for path in paths:
        headers = alice.get(path).headers
        rules = dict(rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["media-src"] == "'self'"
        assert (rules["base-uri"], rules["frame-ancestors"]) == ("'none'", "'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers.get("Cache-Control", "private").startswith("private")
    video = alice.get("/veo3/video", params=seen.place("open_dag"))
    assert video.headers["Content-Type"] == "video/mp4"
    assert video.headers["Cache-Control"].startswith("private")
    assert "Cookie" in video.headers["Vary"]


def test_the_page_has_no_script_or_style_of_its_own(alice: httpx.Client) -> None:
    found: list[str] = []

    class Inline(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            names = dict(attrs)
            if tag == "style" or (tag == "script" and "src" not in names):
                found.append(tag)
            found.extend(name for name in names if name == "style" or name.startswith("on"))
            found.extend(value for value in names.values() if value and "//" in value)

    Inline().feed(alice.get("/veo3/videos").text)
    assert found == []


def test_no_script_makes_html_of_text(alice: httpx.Client) -> None:
    from airflow_provider_veo3.plugins.app import STATIC

    names = {path.name for path in STATIC.glob("*.js")}
    assert "cards.js" in names
    for name in names:
        script = alice.get(f"/veo3/static/{name}").text
        for maker in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
            assert maker not in script, name


def test_ranges_are_served_as_players_ask_for_them(seen: Seen, bob: httpx.Client) -> None:
    from tests.plugins.conftest import MP4

    longest = 4 * 1024 * 1024
    place = seen.place("open_dag")

    def get(header: str | None) -> httpx.Response:
        headers = {"Accept-Encoding": "gzip, identity"} | ({"Range": header} if header else {})
        response = bob.get("/veo3/video", params=place, headers=headers)
        assert response.headers.get("Content-Encoding", "identity") == "identity"
        assert response.headers["Content-Length"] == str(len(response.content))
        return response

    whole = get(None)
    assert (whole.status_code, whole.content, whole.headers["Accept-Ranges"]) == (200, MP4, "bytes")
    part = get("bytes=4-7")
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["Content-Range"] == f"bytes 4-7/{len(MP4)}"
    rest = get("bytes=10-")
    assert (rest.status_code, rest.content) == (206, MP4[10 : 10 + longest])
    end = get("bytes=-10")
    assert (end.status_code, end.content) == (206, MP4[-10:])
    late = get(f"bytes={len(MP4)}-")
    assert (late.status_code, late.headers["Content-Range"]) == (416, f"bytes */{len(MP4)}")


def test_50_viewers_at_once_leave_the_api_its_database_and_threads(seen: Seen, bob: httpx.Client) -> None:
    """Each reads a little of a long response and then waits, as a paused player does."""
    started, done = threading.Barrier(51, timeout=120), threading.Event()
    headers = {"Authorization": bob.headers["Authorization"]}

    def view(_: int) -> int:
        with (
            httpx.Client(base_url=seen.server.url, timeout=120, trust_env=False, headers=headers) as client,
            client.stream("GET", "/veo3/video", params=seen.place("open_dag")) as response,
        ):
            parts = response.iter_raw(1024)
            first = next(parts)
            started.wait()
            done.wait(120)
            return len(first) + sum(len(part) for part in parts)

    from tests.plugins.conftest import MP4

    with ThreadPoolExecutor(50) as viewers:
        views = [viewers.submit(view, number) for number in range(50)]
        started.wait()
        begun = time.monotonic()
        for path in ("/api/v2/dags", "/api/v2/monitor/health", "/veo3/api/videos", "/veo3/api/overview") * 3:
            assert bob.get(path).status_code == 200, path
        spent = time.monotonic() - begun
        done.set()
        assert [each.result() for each in views] == [len(MP4)] * 50
    assert spent < 60, "a pool of two connections, which a stream would have kept for 30 seconds"


def test_a_prompt_is_only_ever_json(seen: Seen, alice: httpx.Client) -> None:
    from datetime import UTC, datetime

    prompt = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
    seen.runs["open_dag"].generate("veo_1_evil", datetime.now(UTC), map_index=9, prompt=prompt)
    response = alice.get("/veo3/api/videos", params={"words": "onerror"})
    assert response.headers["Content-Type"] == "application/json"
    assert [card["prompt"] for card in json.loads(response.text)["videos"]] == [prompt]


def test_half_a_surrogate_pair_in_an_xcom_fails_no_list(seen: Seen, alice: httpx.Client) -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    half = {"id": "veo_1_half", "prompt": "half \ud83d", "model": "half \ud83d", "credits_used": 1}
    done = {"status": "completed", "completed_at": now.isoformat()}
    seen.runs["open_dag"].push("generation", json.dumps(half | done), now, "generate", map_index=8)
    videos, overview, spend, csv = (alice.get(path, params={"dag_id": "open_dag"}) for path in LISTS)
    assert [each.status_code for each in (videos, overview, spend, csv)] == [200] * 4
    assert half["prompt"] in [card["prompt"] for card in videos.json()["videos"]]
    assert half["model"] in [row[2] for row in spend.json()["rows"]]
    assert ",half ?,1,1," in csv.text
