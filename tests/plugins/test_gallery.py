"""Cards, overview and credits of the Videos page, read from Airflow's database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow_versions import AIRFLOW

if TYPE_CHECKING:
    from airflow_provider_veo3.plugins.gallery import Gallery, Page

pytestmark = [
    pytest.mark.skipif(AIRFLOW < (3, 1), reason="Airflow 3.0 has no Videos page"),
    pytest.mark.usefixtures("airflow_bundles"),
]

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def gallery(now: datetime = START + DAY, **limits: int) -> Gallery:
    from airflow.utils.session import create_session

    from airflow_provider_veo3.plugins.gallery import Gallery
    from airflow_provider_veo3.plugins.source import Limits

    return Gallery(partial(create_session, scoped=False), now.timestamp, Limits(**limits))


def page_of(
    *dag_ids: str, card_filter: Any = None, after: Any = None, limits: Any = None, **scope: Any
) -> Page:
    from airflow_provider_veo3.plugins.gallery import CardFilter
    from airflow_provider_veo3.plugins.source import Scope

    readable = frozenset(scope.pop("readable", dag_ids))
    shown = gallery(scope.pop("now", START + DAY), **(limits or {}))
    return shown.videos(Scope(frozenset(dag_ids), **scope), readable, card_filter or CardFilter(), after)


def ids(page: Page) -> list[str]:
    return [card.id for card in page.cards]


def test_a_card_joins_what_the_tasks_of_a_run_have_left() -> None:
    from tests.support.video_rows import VideoRun

    run = VideoRun("joined", START)
    run.generate("veo_1_joined", START, status="pending").task("generate", "success")
    run.generate("veo_1_joined", START + MINUTE, task_id="wait")
    run.store(
        [("veo_1_joined", "file:///videos/a_0.mp4"), ("veo_1_joined", "file:///videos/a_1.mp4")],
        START + 2 * MINUTE,
    )
    run.end(START + 3 * MINUTE)

    (card,) = page_of("joined").cards
    assert (card.id, card.dag_id, card.run_id, card.task_id) == (
        "veo_1_joined",
        "joined",
        run.run_id,
        "generate",
    )
    assert (card.status, card.state, card.credits_used) == ("completed", "success", 190)
    assert card.prompt == "prompt of veo_1_joined"
    assert (card.model, card.duration_seconds, card.aspect_ratio, card.seed) == (
        "veo-3.1-fast-generate-001",
        8,
        "16:9",
        7,
    )
    assert card.accepted_at == START
    assert card.completed_at == START + 2 * MINUTE
    assert card.links_end == START + 2 * MINUTE + DAY
    assert [(file.task_id, file.number, file.uri, file.size) for file in card.files] == [
        ("download", 0, "file:///videos/a_0.mp4", 4096),
        ("download", 1, "file:///videos/a_1.mp4", 4096),
    ]


def test_the_newest_come_first_whatever_run_they_are_of() -> None:
    """A long run, shorter ones inside it, one that still runs, and one that was cleared and ran again."""
    from tests.support.video_rows import VideoRun

    long = VideoRun("long", START)
    for number in range(5):
        long.generate(f"veo_long_{number}", START + number * 10 * MINUTE, map_index=number)
    long.end(START + HOUR)
    for number in range(5):
        at = START + number * 10 * MINUTE + 5 * MINUTE
        VideoRun("short", at).generate(f"veo_short_{number}", at).end(at + MINUTE)
    VideoRun("runs", START - DAY).generate("veo_runs_early", START - DAY).generate(
        "veo_runs_late", START + 47 * MINUTE, map_index=0
    )
    VideoRun("cleared", START - 2 * DAY).generate("veo_cleared", START + 2 * HOUR).end(START + 3 * HOUR)

    found = page_of("long", "short", "runs", "cleared")
    assert ids(found) == [
        "veo_cleared",
        "veo_runs_late",
        "veo_short_4",
        "veo_long_4",
        "veo_short_3",
        "veo_long_3",
        "veo_short_2",
        "veo_long_2",
        "veo_short_1",
        "veo_long_1",
        "veo_short_0",
        "veo_long_0",
        "veo_runs_early",
    ]
    assert found.following is None


@pytest.mark.parametrize("shape", ["one run", "many runs", "one download"])
def test_pages_of_24_hold_each_video_once(shape: str) -> None:
    from tests.support.video_rows import VideoRun

    dag_id = f"pages_{shape.replace(' ', '_')}"
    expected = [f"veo_{dag_id}_{number}" for number in range(60)]
    if shape == "one run":
        run = VideoRun(dag_id, START)
        for number, each in enumerate(expected):
            at = START + number * MINUTE
            run.generate(each, at, map_index=number)
            run.generate(each, at + MINUTE, task_id="wait", map_index=number)
        run.end(START + DAY)
        expected.reverse()
    elif shape == "many runs":
        for number, each in enumerate(expected):
            at = START + (number // 2) * MINUTE  # two at the same time
            VideoRun(dag_id, at).generate(each, at).store([(each, f"file:///v/{each}.mp4")], at + HOUR).end(
                at + 2 * HOUR
            )
        expected = [each for number in range(58, -1, -2) for each in (expected[number + 1], expected[number])]
    else:
        VideoRun(dag_id, START).store([(each, f"file:///v/{each}.mp4") for each in expected], START)

    found, sizes, after = [], [], None
    while True:
        # as if there were many more: batches end in the middle of runs, and of rows at the same time
        page = page_of(dag_id, after=after, limits={"batch": 7, "first_runs": 4})
        found += ids(page)
        sizes.append(len(page.cards))
        after = page.following
        if after is None:
            break
    assert sizes == [24, 24, 12]
    assert found == expected


def test_a_video_that_another_dag_has_stored_plays_on_the_card_of_the_dag_that_made_it() -> None:
    from tests.support.video_rows import VideoRun

    VideoRun("makes", START).generate("veo_1_across", START).end(START + HOUR)
    stores = VideoRun("stores", START + 6 * HOUR)
    stores.store([("veo_1_across", "file:///videos/across.mp4")], START + 6 * HOUR).end(START + 7 * HOUR)
    again = VideoRun("stores", START + 12 * HOUR)
    again.store([("veo_1_across", "file:///videos/across.mp4")], START + 12 * HOUR).end(START + 13 * HOUR)

    (card,) = page_of("makes", "stores").cards
    assert card.dag_id == "makes"
    assert [(file.dag_id, file.run_id) for file in card.files] == [("stores", stores.run_id)]

    (card,) = page_of("stores", readable=["makes", "stores"]).cards
    assert (card.dag_id, card.run_id, card.prompt) == ("stores", stores.run_id, "prompt of veo_1_across")
    (card,) = page_of("stores", run_id=again.run_id).cards
    assert card.run_id == again.run_id


def test_nothing_of_a_dag_that_the_user_may_not_read_is_on_a_card() -> None:
    from tests.support.video_rows import VideoRun

    VideoRun("open_makes", START).generate("veo_1_secret", START).end(START + HOUR)
    stores = VideoRun("closed_stores", START + HOUR)
    stores.store([("veo_1_secret", "file:///videos/secret.mp4")], START + HOUR).end(START + 2 * HOUR)
    (card,) = page_of("open_makes").cards
    assert card.files == ()

    stored = VideoRun("open_stores", START + 2 * HOUR)
    stored.store([("veo_2_secret", "file:///videos/b.mp4")], START + 2 * HOUR).end(START + 3 * HOUR)
    makes = VideoRun("closed_makes", START)
    makes.generate("veo_2_secret", START, prompt="hidden prompt").end(START + HOUR)
    (card,) = page_of("open_stores").cards
    assert (card.id, card.prompt) == ("veo_2_secret", None)


def test_each_status_by_what_is_known() -> None:
    from airflow_provider_veo3.plugins.gallery import CardFilter
    from tests.support.video_rows import VideoRun

    now = START + 30 * MINUTE
    run = VideoRun("statuses", START)
    run.generate("veo_1_stored", START).store([("veo_1_stored", "file:///v/a.mp4")], START)
    run.generate("veo_2_unstored", START, map_index=0)
    run.generate("veo_3_failed", START, status="failed", map_index=1)
    run.generate("veo_4_flying", START, status="pending", map_index=2).task("generate", "deferred", 2)
    run.generate("veo_5_timed_out", START, status="pending", map_index=3).task("generate", "failed", 3)
    run.generate("veo_6_forgotten", START - HOUR, status="pending", map_index=4).task(
        "generate", "success", 4
    )
    run.generate("veo_7_sensed", START, status="pending", map_index=5)
    run.generate("veo_7_sensed", START + MINUTE, task_id="wait", status="failed", map_index=5)

    def found(status: str | None) -> set[str]:
        return set(ids(page_of("statuses", card_filter=CardFilter(status), now=now)))

    assert found("stored") == {"veo_1_stored"}
    assert found("unstored") == {"veo_2_unstored"}
    assert found("failed") == {"veo_3_failed", "veo_7_sensed"}
    assert found("in_flight") == {"veo_4_flying"}
    assert found("unknown") == {"veo_5_timed_out", "veo_6_forgotten"}
    everything = ("stored", "unstored", "failed", "unknown")
    assert found(None) == set().union(*(found(status) for status in everything))


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ("fox", {"a", "b", "d"}),
        ("FOX snow", {"a", "b"}),
        ("snow fox", {"a", "b"}),
        ("veo_words_c", {"c"}),
        ("grün", {"c"}),
        ("GRÜN", {"c"}),
        ("日本", {"c"}),
        ("Straße", {"d"}),
        ("straße", {"d"}),
        ('"quoted"', {"b"}),
        ("back\\slash", {"b"}),
        ("100%", {"b"}),
        ("%", {"b"}),
        ("snow_", set()),
        ("fox zebra", set()),
        ("completed", set()),
    ],
)
def test_words_of_the_prompt_in_any_order_and_case(words: str, fits: set[str]) -> None:
    from airflow_provider_veo3.plugins.app import Filter
    from tests.support.video_rows import VideoRun

    prompts = {
        "a": "A red fox in the snow",
        "b": 'A Fox, "quoted", back\\slash, 100% Snow',
        "c": "Ein grüner Vogel in 日本",
        "d": "One fox only, Straße",
    }
    dag_id = f"words_{abs(hash(words))}"
    run = VideoRun(dag_id, START)
    for index, (name, prompt) in enumerate(prompts.items()):
        run.generate(f"veo_words_{name}", START, map_index=index, prompt=prompt)
        run.generate(f"veo_words_{name}", START + MINUTE, task_id="wait", map_index=index)
        run.store([(f"veo_words_{name}", f"file:///v/{name}.mp4")], START + MINUTE, map_index=index)
    card_filter = Filter(words=words).card_filter()
    assert set(ids(page_of(dag_id, card_filter=card_filter))) == {f"veo_words_{name}" for name in fits}


def test_filters_by_run_task_model_and_time() -> None:
    from airflow_provider_veo3.plugins.gallery import CardFilter
    from tests.support.video_rows import VideoRun

    first = VideoRun("filters", START).generate("veo_filters_1", START, map_index=0)
    first.generate("veo_filters_2", START + HOUR, map_index=1, model="veo-3.1-lite-generate-001")
    first.store([("veo_filters_1", "file:///v/1.mp4")], START + 2 * HOUR, map_index=0).end(START + 3 * HOUR)
    VideoRun("filters", START).generate("veo_filters_3", START + 4 * HOUR).end(START + 5 * HOUR)

    assert ids(page_of("filters", run_id=first.run_id)) == ["veo_filters_2", "veo_filters_1"]
    assert ids(page_of("filters", run_id="another")) == []
    assert ids(page_of("filters", task_id="generate", map_index=1)) == ["veo_filters_2"]
    assert ids(page_of("filters", task_id="download")) == ["veo_filters_1"]
    assert ids(page_of("filters", card_filter=CardFilter(model="lite"))) == ["veo_filters_2"]
    assert ids(page_of("filters", since=START + HOUR)) == ["veo_filters_3", "veo_filters_2"]
    assert ids(page_of("filters", until=START + HOUR)) == ["veo_filters_1"]
    between = page_of("filters", since=START + HOUR, until=START + 2 * HOUR)
    assert ids(between) == ["veo_filters_2"]


def test_manifests_of_earlier_versions_still_show() -> None:
    from tests.support.video_rows import VideoRun

    old = {"version": 1, "id": "veo_1_old", "type": "text-to-video", "model": None, "status": "completed"}
    VideoRun("old", START).push("generation", old, START, "generate").end(START + HOUR)
    (card,) = page_of("old").cards
    assert (card.id, card.status, card.accepted_at) == ("veo_1_old", "completed", START)
    assert (card.prompt, card.credits_used, card.links_end, card.files) == (None, None, None, ())


ODD: list[Any] = [
    None,
    "s3://xcoms/dag/run/task/0b7f.json",
    "{not json",
    7,
    [],
    ["text", None, 7, {}],
    {},
    {"id": None},
    {"id": ["veo_1"]},
    {"generation_id": "veo_1"},
    [{"generation_id": 5, "uri": "file:///v/a.mp4"}, {"generation_id": "veo_1", "uri": None}],
    "[" * 100_000,
]


@pytest.mark.parametrize("number", range(len(ODD)))
def test_values_that_are_nothing_of_ours_are_left_out(number: int) -> None:
    from tests.support.video_rows import VideoRun

    dag_id = f"odd_{number}"
    run = VideoRun(dag_id, START).generate("veo_1_fine", START, map_index=0)
    run.push("generation", ODD[number], START, "generate")
    run.push("return_value", ODD[number], START, "download")
    run.push("stored_video_uris", ODD[number], START, "download")
    run.end(START + HOUR)
    page = page_of(dag_id)
    assert ids(page) == ["veo_1_fine"]
    assert page.unread == (2 if isinstance(ODD[number], str) else 0)
    assert gallery().spend(scope_of(dag_id), START - DAY, START + DAY).rows() == [
        ("2026-03-01", dag_id, "veo-3.1-fast-generate-001", 1, 190, 0)
    ]


def scope_of(*dag_ids: str, **scope: Any) -> Any:
    from airflow_provider_veo3.plugins.source import Scope

    return Scope(frozenset(dag_ids), **scope)


def test_odd_fields_of_a_manifest_are_left_out() -> None:
    from tests.support.video_rows import VideoRun

    odd = {
        "status": ["a list"],
        "prompt": ["a list"],
        "model": {"a": 1},
        "credits_used": "many",
        "duration_seconds": True,
        "seed": 10**400,
        "aspect_ratio": 5,
        "accepted_at": "yesterday",
        "created_at": "9999-12-31T23:59:59+00:00",
        "completed_at": "0001-01-01T00:00:00",
        "type": "x" * 100_000,
    }
    VideoRun("odd_fields", START).generate("veo_1_odd", START, **odd).end(START + HOUR)
    (card,) = page_of("odd_fields").cards
    assert (card.prompt, card.model, card.credits_used, card.duration_seconds) == (None, None, None, None)
    assert (card.seed, card.aspect_ratio, card.completed_at) == (None, None, None)
    assert card.accepted_at == START
    assert len(card.type or "") == 2000
    assert gallery().spend(scope_of("odd_fields"), START - DAY, START + DAY).rows() == [
        ("2026-03-01", "odd_fields", "unknown", 1, 0, 0)
    ]


def test_a_manifest_that_is_text_of_json_counts_and_is_found() -> None:
    from airflow_provider_veo3.plugins.gallery import CardFilter
    from tests.support.video_rows import VideoRun

    manifest = {
        "id": "veo_1_text",
        "model": "veo-3.1-lite-generate-001",
        "status": "failed",
        "credits_used": 65,
        "accepted_at": START.isoformat(),
        "prompt": 'Ein "grüner" Vogel',
    }
    run = VideoRun("text_of_json", START).push("generation", json.dumps(manifest), START, "generate")
    run.generate("veo_2_text", START, map_index=0, prompt="A red fox").end(START + HOUR)
    assert ids(page_of("text_of_json", card_filter=CardFilter(words=("vogel",)))) == ["veo_1_text"]
    assert ids(page_of("text_of_json", card_filter=CardFilter(model="lite"))) == ["veo_1_text"]
    assert ids(page_of("text_of_json", card_filter=CardFilter(status="failed"))) == ["veo_1_text"]
    assert gallery().spend(scope_of("text_of_json"), START - DAY, START + DAY).rows() == [
        ("2026-03-01", "text_of_json", "veo-3.1-fast-generate-001", 1, 190, 0),
        ("2026-03-01", "text_of_json", "veo-3.1-lite-generate-001", 1, 0, 65),
    ]


def test_a_manifest_of_another_program_hides_no_credits_and_no_words() -> None:
    """``generation`` is a common word, and Python writes JSON that SQLite cannot read."""
    from airflow_provider_veo3.plugins.gallery import CardFilter
    from tests.support.video_rows import VideoRun

    run = VideoRun("other_programs", START).generate("veo_1_ours", START, prompt="A red fox")
    for map_index, manifest in enumerate(
        (
            {"id": "veo_nan", "credits_used": float("nan")},
            {"id": "veo_half_\ud83d", "prompt": "A red \ud83d"},
            {"id": "veo_whole", "prompt": "A red \U0001f44f"},
        )
    ):
        run.push("generation", {"model": "m", **manifest}, START, "generate", map_index)
    run.end(START + HOUR)
    found = ids(page_of("other_programs", card_filter=CardFilter(words=("red",))))
    assert sorted(found) == ["veo_1_ours", "veo_half_\ud83d", "veo_whole"]
    assert gallery().spend(scope_of("other_programs"), START - DAY, START + DAY).rows() == [
        ("2026-03-01", "other_programs", "m", 3, 0, 0),
        ("2026-03-01", "other_programs", "veo-3.1-fast-generate-001", 1, 190, 0),
    ]


def test_a_long_way_through_rows_that_do_not_fit_is_taken_in_steps() -> None:
    from airflow_provider_veo3.plugins.gallery import CardFilter
    from tests.support.video_rows import VideoRun

    run = VideoRun("steps", START).generate("veo_steps_wanted", START, map_index=0)
    run.store([("veo_steps_wanted", "file:///v/a.mp4")], START, map_index=0)
    for number in range(1, 31):
        run.generate(f"veo_steps_{number}", START + number * MINUTE, map_index=number)
    run.end(START + HOUR)
    found, steps, after = [], 0, None
    while True:
        page = page_of(
            "steps", card_filter=CardFilter("stored"), after=after, limits={"batch": 10, "rows": 10}
        )
        found, steps, after = found + ids(page), steps + 1, page.following
        if after is None:
            break
    assert (found, steps) == (["veo_steps_wanted"], 4)


def overview_at(now: datetime, *dag_ids: str) -> Any:
    found = gallery(now).overview()
    return replace(
        found,
        in_flight=[card for card in found.in_flight if card.dag_id in dag_ids],
        at_risk=[entry for entry in found.at_risk if entry.card.dag_id in dag_ids],
    )


def test_generations_in_flight_against_the_usual_time_of_their_model() -> None:
    from tests.support.video_rows import VideoRun

    start = datetime(2031, 1, 1, tzinfo=UTC)  # the overview is of all DAGs, so at a time of its own
    run = VideoRun("flying", start)
    for number, seconds in enumerate((40, 50, 90)):
        done = (start + timedelta(seconds=seconds)).isoformat()
        run.generate(f"veo_fly_done_{number}", start, map_index=number, completed_at=done, model="measured")
    for number, model in enumerate(("measured", "veo-3.1-lite-x", "veo-3.1-fast-x", "veo-3.1-generate-x"), 3):
        at = start + number * MINUTE
        run.generate(f"veo_fly_{number}", at, map_index=number, status="pending", model=model)
    found = overview_at(start + 10 * MINUTE, "flying")
    assert [card.id for card in found.in_flight] == [f"veo_fly_{number}" for number in (3, 4, 5, 6)]
    assert [found.usual_seconds(card.model) for card in found.in_flight] == [50, 45, 60, 120]


def test_videos_at_risk_by_when_their_links_end_and_who_stores_them() -> None:
    from tests.support.video_rows import VideoRun

    start = datetime(2032, 1, 1, tzinfo=UTC)
    later = VideoRun("risky", start).generate("veo_risk_later", start + 2 * HOUR).task("download", "failed")
    later.end(start + 3 * HOUR, "failed")
    VideoRun("risky", start).generate("veo_risk_sooner", start).task("download", "success").end(start + HOUR)
    stored = VideoRun("risky", start).generate("veo_risk_stored", start)
    stored.store([("veo_risk_stored", "file:///v/a.mp4")], start + MINUTE).end(start + HOUR)
    VideoRun("risky", start).generate("veo_risk_by_another", start).end(start + HOUR)
    other = VideoRun("risky_recovery", start + HOUR)
    other.store([("veo_risk_by_another", "file:///v/b.mp4")], start + HOUR).end(start + 2 * HOUR)
    VideoRun("risky", start).generate("veo_risk_about_to_be_stored", start)
    VideoRun("risky", start).generate("veo_risk_failed", start, status="failed").end(start + HOUR)

    found = overview_at(start + 4 * HOUR, "risky").at_risk
    assert [entry.card.id for entry in found] == ["veo_risk_sooner", "veo_risk_later"]
    assert [(entry.task.task_id, entry.task.state) for entry in found] == [
        ("download", "success"),
        ("download", "failed"),
    ]
    soon = overview_at(start + 20 * HOUR, "risky").at_risk
    assert [entry.card.id for entry in soon] == [
        "veo_risk_about_to_be_stored",
        "veo_risk_sooner",
        "veo_risk_later",
    ]
    assert overview_at(start + 27 * HOUR, "risky").at_risk == []


def test_another_dag_tells_the_overview_no_more_than_how_a_generation_ended() -> None:
    from tests.support.video_rows import VideoRun

    start = datetime(2035, 1, 1, tzinfo=UTC)
    edited = VideoRun("edits_xcoms", start).task("download", "skipped")
    secret = VideoRun("secret_makes", start)
    for number, status in enumerate(("pending", "completed")):
        edited.push("generation", {"id": f"veo_secret_{number}"}, start, "generate", number)
        secret.generate(f"veo_secret_{number}", start + MINUTE, map_index=number, status=status)
    submits = VideoRun("submits", start).task("download", "skipped")
    submits.generate("veo_apart", start, status="pending", credits_used=65)
    VideoRun("waits_apart", start).generate("veo_apart", start + 2 * MINUTE, task_id="wait")

    found = overview_at(start + 10 * MINUTE, "edits_xcoms", "submits")
    (flying,), (completed, apart) = found.in_flight, (entry.card for entry in found.at_risk)
    for card in (flying, completed):
        assert card.dag_id == "edits_xcoms"
        assert (card.prompt, card.model, card.credits_used, card.aspect_ratio) == (None, None, None, None)
    assert (apart.id, apart.prompt, apart.credits_used) == ("veo_apart", "prompt of veo_apart", 65)
    assert apart.completed_at == start + 3 * MINUTE

    secret.store([("veo_secret_1", "file:///videos/secret.mp4")], start + 2 * MINUTE)
    stored = overview_at(start + 10 * MINUTE, "edits_xcoms", "submits")
    assert [entry.card.id for entry in stored.at_risk] == ["veo_apart"]


def test_one_overview_serves_everybody_for_seconds() -> None:
    from airflow.utils.session import create_session

    from airflow_provider_veo3.plugins.gallery import DAGS_KEPT, OVERVIEW_KEPT, Gallery
    from tests.support.video_rows import VideoRun

    start = datetime(2033, 1, 1, tzinfo=UTC)
    now = [start.timestamp()]
    opened = []

    def open_session() -> Any:
        opened.append(now[0])
        return create_session(scoped=False)

    kept = Gallery(open_session, clock=lambda: now[0])
    VideoRun("kept", start).generate("veo_kept_1", start, status="pending")
    first = kept.overview()
    count = len(opened)
    VideoRun("kept", start).generate("veo_kept_2", start, status="pending")
    now[0] += OVERVIEW_KEPT - 0.1
    assert kept.overview() is first
    assert len(opened) == count
    now[0] += 0.2
    assert len(kept.overview().in_flight) == len(first.in_flight) + 1
    assert "kept_later" not in kept.video_dags()
    VideoRun("kept_later", start).generate("veo_kept_3", start, status="pending")
    now[0] += DAGS_KEPT.total_seconds()
    assert "kept_later" in kept.video_dags()


def test_dags_with_their_first_videos_are_found_among_the_latest_runs() -> None:
    from airflow.utils.session import create_session

    from airflow_provider_veo3.plugins.gallery import DAGS_KEPT, Gallery
    from tests.support.video_rows import VideoRun

    start = datetime(2034, 1, 1, tzinfo=UTC)
    now = [start.timestamp()]
    VideoRun("first", start).generate("veo_first_1", start).end(start)
    kept = Gallery(partial(create_session, scoped=False), clock=lambda: now[0])
    dags = kept.video_dags()
    assert "first" in dags
    VideoRun("runs", start).generate("veo_runs_1", start)
    VideoRun("ran", start).generate("veo_ran_1", start).end(start + DAGS_KEPT / 2)
    VideoRun("stores", start).store([("veo_ran_1", "file:///v/a.mp4")], start).end(start + DAGS_KEPT / 2)
    VideoRun("has_no_video", start).push("return_value", "veo_ran_1", start, "generate")
    VideoRun("ran_long_ago", start - DAY).generate("veo_old_1", start - DAY).end(start - HOUR)
    assert kept.video_dags() == dags
    now[0] += DAGS_KEPT.total_seconds()
    assert kept.video_dags() == dags | {"runs", "ran", "stores"}


def test_credits_by_day_dag_and_model() -> None:
    from tests.support.video_rows import VideoRun

    lite = "veo-3.1-lite-generate-001"
    run = VideoRun("spending", START).generate("veo_spend_1", START, map_index=0)
    run.generate("veo_spend_1", START + MINUTE, task_id="wait", map_index=0)  # a sensor pays nothing
    run.generate("veo_spend_2", START, map_index=1, model=lite, credits_used=65)
    run.generate("veo_spend_3", START, map_index=2, status="failed")
    run.generate("veo_spend_4", START, map_index=3, status="pending")
    run.generate("veo_spend_4", START + MINUTE, task_id="wait", map_index=3, status="failed")
    run.generate("veo_spend_5", START + DAY, map_index=4)
    run.generate("veo_spend_6", START - 40 * DAY, map_index=5)
    run.generate("veo_spend_7", START, map_index=6, credits_used=None)
    run.end(START + 2 * DAY)
    waits = VideoRun("only_waits", START).generate("veo_spend_8", START, task_id="wait")
    waits.end(START + HOUR)

    fast = "veo-3.1-fast-generate-001"
    spend = gallery().spend(scope_of("spending", "only_waits"), START - 30 * DAY, START + 2 * DAY)
    assert spend.rows() == [
        ("2026-03-01", "spending", fast, 4, 190, 380),
        ("2026-03-01", "spending", lite, 1, 65, 0),
        ("2026-03-02", "spending", fast, 1, 190, 0),
    ]
    assert spend.as_csv().splitlines() == [
        "day,dag_id,model,generations,credits,refunded",
        f"2026-03-01,spending,{fast},4,190,380",
        f"2026-03-01,spending,{lite},1,65,0",
        f"2026-03-02,spending,{fast},1,190,0",
    ]
    of_model = gallery().spend(scope_of("spending"), START - 30 * DAY, START + 2 * DAY, "lite")
    assert [row[2] for row in of_model.rows()] == [lite]
    assert gallery().spend(scope_of("spending"), START + 2 * DAY, START + 3 * DAY).rows() == []
    of_instance = scope_of("spending", task_id="generate", map_index=1)
    assert gallery().spend(of_instance, START - 30 * DAY, START + 2 * DAY).rows() == [
        ("2026-03-01", "spending", lite, 1, 65, 0)
    ]


def test_no_text_of_the_csv_is_a_formula() -> None:
    from tests.support.video_rows import VideoRun

    formulas = ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\t=1"]
    run = VideoRun("formulas", START)
    for index, model in enumerate(formulas):
        run.generate(f"veo_formula_{index}", START, map_index=index, model=model)
    run.end(START + HOUR)
    lines = gallery().spend(scope_of("formulas"), START - DAY, START + DAY).as_csv().splitlines()[1:]
    assert len(lines) == len(formulas)
    for line in lines:
        assert line.split(",")[2].lstrip('"').startswith("'")


def test_the_uri_of_a_stored_file_comes_from_its_xcom() -> None:
    from tests.support.video_rows import VideoRun

    run = VideoRun("uris", START).store(
        [("veo_1_a", "file:///v/a.mp4"), ("veo_1_b", "file:///v/b.mp4")], START, map_index=2
    )
    run.push("return_value", {"uri": "file:///v/c.mp4"}, START, "generate")
    stored_uri = partial(gallery().stored_uri, "uris", run.run_id)
    assert stored_uri("download", 2, 1) == "file:///v/b.mp4"
    assert stored_uri("download", 2, 2) is None
    assert stored_uri("download", -1, 0) is None
    assert stored_uri("generate", -1, 0) is None
    assert gallery().stored_uri("uris", "another", "download", 2, 0) is None
