"""Decisions of a submission that is paid for once, as tables."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.api.request import GenerationRequest, Image
from airflow_provider_veo3.api.retries import was_not_accepted
from airflow_provider_veo3.exceptions import Veo3AmbiguousSubmissionError, Veo3StateError
from airflow_provider_veo3.submission import decisions
from airflow_provider_veo3.submission.decisions import Step, Timings
from airflow_provider_veo3.submission.record import Phase, Record, intent

OURS, THEIRS = "ours", "theirs"
INTENT = Record(Phase.INTENT, OURS, 100.0, 100.0, 2, superseded=("veo_0",))
SUBMITTED = dataclasses.replace(INTENT, phase=Phase.SUBMITTED, generation_id="veo_1", credits_remaining=7)


@pytest.mark.parametrize(
    ("record", "fingerprint", "max_tries", "step"),
    [
        (None, OURS, 2, Step.SUBMIT),
        (INTENT, OURS, 2, Step.RECONCILE),
        (INTENT, OURS, 5, Step.RECONCILE),
        (dataclasses.replace(INTENT, phase=Phase.REFUSED), OURS, 2, Step.SUBMIT),
        (SUBMITTED, OURS, 2, Step.REATTACH),
        (SUBMITTED, OURS, 5, Step.REATTACH),  # cleared before it ever succeeded
        (SUBMITTED.delivered("veo_1", 2), OURS, 2, Step.REATTACH),
        (SUBMITTED.delivered("veo_1", 2), OURS, 3, Step.SUBMIT),  # cleared after it had
        *((dataclasses.replace(SUBMITTED, phase=phase), THEIRS, 2, Step.SUBMIT) for phase in Phase),
    ],
)
def test_first_step(record: Record | None, fingerprint: str, max_tries: int, step: Step) -> None:
    assert decisions.first_step(record, fingerprint, max_tries) is step


@pytest.mark.parametrize(
    ("record", "fingerprint", "since", "superseded"),
    [
        (None, OURS, 500.0, ()),
        (INTENT, OURS, 100.0, ("veo_0",)),  # the first unknown request may still be the one
        (INTENT, THEIRS, 500.0, ("veo_0",)),
        (dataclasses.replace(INTENT, phase=Phase.REFUSED), OURS, 500.0, ("veo_0",)),
        (SUBMITTED, OURS, 500.0, ("veo_0", "veo_1")),
        (SUBMITTED, THEIRS, 500.0, ("veo_0", "veo_1")),
    ],
)
def test_next_intent(
    record: Record | None, fingerprint: str, since: float, superseded: tuple[str, ...]
) -> None:
    written = intent(record, fingerprint, 4, 500.0)
    assert written == Record(Phase.INTENT, fingerprint, since, 500.0, 4, superseded=superseded)


def test_a_record_stays_small_and_keeps_the_latest_ids() -> None:
    record: Record | None = None
    for number in range(150):
        generation = Generation(f"veo_{number}", Status.FAILED)
        record = intent(record, OURS, 2, number).submitted(generation)
    assert record is not None
    assert record.superseded == tuple(f"veo_{number}" for number in range(49, 149))
    passed = record.passing_over(["veo_a", "veo_b"])
    assert passed.superseded == (*record.superseded[2:], "veo_a", "veo_b")


def test_refused_tells_only_of_the_last_request() -> None:
    assert INTENT.refused().phase is Phase.REFUSED
    after_unknown = intent(INTENT, OURS, 2, 500.0)
    assert after_unknown.refused() == after_unknown


def test_submitted_delivered_and_lost_keep_what_was_known() -> None:
    accepted = Generation("veo_1", Status.PENDING, credits_remaining=7)
    assert INTENT.submitted(accepted) == SUBMITTED
    done = SUBMITTED.delivered("veo_1", 9)
    assert done == dataclasses.replace(SUBMITTED, phase=Phase.DELIVERED, max_tries=9)
    assert INTENT.delivered("veo_1", 2).generation_id == "veo_1"
    lost = SUBMITTED.lost_to_another_task()
    assert lost == dataclasses.replace(INTENT, superseded=("veo_0", "veo_1"))


@pytest.mark.parametrize(
    ("sent", "noticed", "settled"),
    [
        (1000.0, 1000.5, 1010.5),  # cut at once: nobody is at work on it
        (1000.0, 1001.5, 1110.0),  # a slow API may still accept it
        (1000.0, 1000.0, 1110.0),  # nobody was left to notice
        (1000.0, 1600.0, 1610.0),
    ],
)
def test_settled_at(sent: float, noticed: float, settled: float) -> None:
    assert Timings(listing_lag=10.0, acceptance_span=100.0).settled_at(sent, noticed) == settled


def created(name: str, second: int | None) -> Generation:
    at = None if second is None else datetime.fromtimestamp(second, UTC)
    return Generation(name, Status.PROCESSING, created_at=at)


OLD, NEW, UNDATED = created("veo_old", 10), created("veo_new", 20), created("veo_undated", None)


@pytest.mark.parametrize(
    ("found", "policy", "rivals", "chosen"),
    [
        *(((), policy, rivals, None) for policy in ("fail", "adopt_newest", "resubmit") for rivals in (0, 3)),
        *(((OLD,), policy, 0, OLD) for policy in ("fail", "adopt_newest", "resubmit")),
        ((OLD, NEW), "adopt_newest", 0, NEW),
        ((NEW, OLD, UNDATED), "adopt_newest", 0, NEW),
        ((OLD, NEW), "resubmit", 0, None),
        ((NEW, OLD), "fail", 1, OLD),  # two for two
        ((NEW, OLD), "resubmit", 1, OLD),
        ((NEW, OLD, UNDATED), "adopt_newest", 1, NEW),
    ],
)
def test_choose(found: tuple[Generation, ...], policy: Any, rivals: int, chosen: Generation | None) -> None:
    assert decisions.choose(found, policy, rivals=rivals) is chosen


@pytest.mark.parametrize(("found", "rivals"), [((NEW, OLD), 0), ((NEW, OLD, UNDATED), 1)])
def test_choose_asks_a_person_and_names_the_ids(found: tuple[Generation, ...], rivals: int) -> None:
    with pytest.raises(Veo3AmbiguousSubmissionError) as raised:
        decisions.choose(found, "fail", rivals=rivals)
    assert all(generation.id in str(raised.value) for generation in found)


def test_what_may_be_a_lookalikes_is_not_taken_for_ours() -> None:
    assert decisions.choose((), "fail", lookalikes=1) is None
    assert decisions.choose((OLD,), "adopt_newest", lookalikes=1) is OLD
    assert decisions.choose((OLD,), "resubmit", lookalikes=1) is None
    with pytest.raises(Veo3AmbiguousSubmissionError, match="veo_old"):
        decisions.choose((OLD,), "fail", lookalikes=1)


def records() -> st.SearchStrategy[Record]:
    names = st.text(min_size=1, max_size=30)
    times = st.floats(0, 4e9)
    known = st.fixed_dictionaries(
        {
            "fingerprint": names,
            "since": times,
            "last": times,
            "max_tries": st.integers(),
            "superseded": st.lists(names).map(tuple),
        }
    )
    unanswered = st.sampled_from((Phase.INTENT, Phase.REFUSED))
    answered = st.sampled_from((Phase.SUBMITTED, Phase.DELIVERED))
    return st.one_of(
        st.builds(lambda phase, fields: Record(phase, **fields), unanswered, known),
        st.builds(
            lambda phase, fields, name, left: Record(
                phase, **fields, generation_id=name, credits_remaining=left
            ),
            answered,
            known,
            names,
            st.none() | st.integers(),
        ),
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(records())
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert Record.from_json(record.to_json()) == record


@given(json_values)
def test_any_json_is_a_record_or_nothing_or_an_error(value: object) -> None:
    if value is None:
        assert Record.from_json(value) is None
        return
    with pytest.raises(Veo3StateError, match="nothing was submitted"):
        Record.from_json(value)


@given(records(), st.data())
def test_a_spoilt_record_is_an_error_or_usable(record: Record, data: st.DataObject) -> None:
    stored = record.to_json()
    name = data.draw(st.sampled_from([*stored, "unknown"]))
    if data.draw(st.booleans()) and name in stored:
        del stored[name]
    else:
        stored[name] = data.draw(json_values)
    try:
        read = Record.from_json(stored)
    except Veo3StateError:
        return
    assert read is not None
    assert read.to_json() == stored
    following = intent(read, read.fingerprint, read.max_tries, 1.0)
    assert Record.from_json(following.to_json()) == following
    assert decisions.first_step(read, read.fingerprint, read.max_tries) in Step


@pytest.mark.parametrize(
    "spoilt",
    [
        {"version": 2},
        {"version": True},
        {"phase": "lost"},
        {"phase": "intent"},  # with an id
        {"generation_id": None},
        {"generation_id": ""},
        {"fingerprint": ""},
        {"since": "100"},
        {"since": True},
        {"last": float("nan")},
        {"last": -1},
        {"since": 10**400},
        {"max_tries": 1.5},
        {"credits_remaining": "7"},
        {"superseded": "veo_0"},
        {"superseded": [None]},
        {"more": 1},
    ],
    ids=str,
)
def test_a_record_with_a_field_that_cannot_be_is_an_error(spoilt: dict[str, Any]) -> None:
    assert Record.from_json(SUBMITTED.to_json()) == SUBMITTED
    with pytest.raises(Veo3StateError, match="may stand for a paid generation"):
        Record.from_json(SUBMITTED.to_json() | spoilt)


PNG = b"\x89PNG\r\n\x1a\n"
REQUEST = GenerationRequest("text-to-video", "a dragon")
IMAGE = GenerationRequest("image-to-video", "a dragon", images=(Image("image", PNG + b"1"),))


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a dragon "},
        {"model": "veo-3.1-generate-001"},
        {"sample_count": 2},
        {"duration_seconds": 6},
        {"aspect_ratio": "9:16"},
        {"generate_audio": False},
        {"enhance_prompt": False},
        {"negative_prompt": "fog"},
        {"seed": 0},
        {"person_generation": "dont_allow"},
        {"extra_options": {"resolution": "4k"}},
    ],
    ids=str,
)
def test_everything_that_is_sent_changes_the_fingerprint(change: dict[str, Any]) -> None:
    changed = dataclasses.replace(REQUEST, **change)
    names = {field.name for field in dataclasses.fields(REQUEST)} - {"_", "type", "images"}
    assert set(change) <= names
    assert decisions.fingerprint_of(changed, "conn", "http://a") != decisions.fingerprint_of(
        REQUEST, "conn", "http://a"
    )


def test_where_it_goes_the_endpoint_and_the_images_change_the_fingerprint() -> None:
    other_bytes = dataclasses.replace(IMAGE, images=(Image("image", PNG + b"2"),))
    frames = (Image("first_frame", PNG + b"1"), Image("last_frame", PNG + b"2"))
    swapped = (Image("first_frame", PNG + b"2"), Image("last_frame", PNG + b"1"))
    fingerprints = [
        decisions.fingerprint_of(REQUEST, "conn", "http://a"),
        decisions.fingerprint_of(REQUEST, "other", "http://a"),
        decisions.fingerprint_of(REQUEST, "conn", "http://b"),
        decisions.fingerprint_of(IMAGE, "conn", "http://a"),
        decisions.fingerprint_of(other_bytes, "conn", "http://a"),
        decisions.fingerprint_of(
            GenerationRequest("first-last-frame", "a dragon", images=frames), "conn", "http://a"
        ),
        decisions.fingerprint_of(
            GenerationRequest("first-last-frame", "a dragon", images=swapped), "conn", "http://a"
        ),
    ]
    assert len(set(fingerprints)) == len(fingerprints)


def test_what_the_history_may_show_alike_looks_alike() -> None:
    looks = {
        decisions.listed_identity_of(dataclasses.replace(REQUEST, prompt=prompt, seed=seed))
        for seed, prompt in enumerate(["A café", " A  café", "A cafe\u0301", "A caf&eacute;"])
    }
    assert len(looks) == 1
    assert decisions.listed_identity_of(REQUEST) not in looks


def test_names_inside_an_extra_option_may_be_of_any_kind_that_json_takes() -> None:
    mixed = dataclasses.replace(REQUEST, extra_options={"a": {1: "x", "b": "y"}})
    as_sent = dataclasses.replace(REQUEST, extra_options={"a": {"b": "y", "1": "x"}})
    prints = {decisions.fingerprint_of(request, "conn", "http://a") for request in (mixed, as_sent)}
    assert len(prints) == 1


def test_spelling_and_place_do_not_change_the_fingerprint() -> None:
    as_text = GenerationRequest(
        "text-to-video",
        "a dragon",
        seed="7",  # type: ignore[arg-type]
        generate_audio="true",  # type: ignore[arg-type]
        extra_options={"b": 1, "a": 2, "none": None},
    )
    as_values = GenerationRequest("text-to-video", "a dragon", seed=7, extra_options={"a": 2, "b": 1})
    moved = dataclasses.replace(IMAGE, images=(Image("image", PNG + b"1", "s3://elsewhere/x.png"),))
    for one, other in ((as_text, as_values), (IMAGE, moved)):
        assert decisions.fingerprint_of(one, "conn", "http://a") == decisions.fingerprint_of(
            other, "conn", "http://a"
        )


@pytest.mark.parametrize(
    ("error", "certain"),
    [
        (errors.Veo3NoAnswerError("x", sent=False), True),
        (errors.Veo3NoAnswerError("x", sent=True), False),
        (errors.Veo3NoAnswerError("x"), False),
        (errors.Veo3RateLimitError("x"), True),
        (errors.Veo3BadRequestError("x"), True),
        (errors.Veo3ContentPolicyError("x"), True),
        (errors.Veo3AuthenticationError("x"), True),
        (errors.Veo3InsufficientCreditsError("x"), True),
        (errors.Veo3ServerError("x", status=500), False),
        (errors.Veo3ServerError("x", status=503), False),
        (errors.Veo3UnreadableAnswerError("x", status=202), False),
        (errors.Veo3VideoNotReadyError("x"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_was_not_accepted(error: errors.Veo3ApiError, certain: bool) -> None:
    assert was_not_accepted(error) is certain
