"""Meaning of each response for a task that waits, and events as untrusted input."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_veo3 import exceptions as errors
from airflow_provider_veo3.airflow_names import AirflowFailException, AirflowSensorTimeout
from airflow_provider_veo3.api.models import Generation, Status
from airflow_provider_veo3.polling.result import Ending, WaitResult
from airflow_provider_veo3.polling.wait import LATE, Wait

ID = "veo_1703123456789_abc123def"
NOW, DEADLINE = 1000.0, 2000.0
RUNNING = Generation(ID, Status.PROCESSING, model="m")

REFUNDED = "The vendor refunds the credits of a failed one."
CHANGE = "Change the prompt or the image: the same content would be refused again."
RETRY = "If the generating task is retried or cleared, it submits a new one."


def wait(poll_interval: float = 10.0, deadline: float = DEADLINE) -> Wait:
    return Wait(ID, deadline, poll_interval)


def limited(seconds: float | None) -> errors.Veo3ApiError:
    return errors.Veo3RateLimitError("slow down", status=429, retry_after=seconds)


@pytest.mark.parametrize(
    ("now", "first"), [(NOW, 10.0), (DEADLINE - 3, 3.0), (DEADLINE, 0.0), (DEADLINE + 99, 0.0)]
)
def test_the_first_poll_comes_after_an_interval_but_not_after_the_deadline(now: float, first: float) -> None:
    assert wait().first_poll(now) == first


@pytest.mark.parametrize("status", [Status.PENDING, Status.PROCESSING])
def test_a_running_generation_is_polled_again(status: Status) -> None:
    one = wait()
    assert one.on_generation(Generation(ID, status), NOW) == 10.0
    assert one.on_generation(Generation(ID, status), DEADLINE - 4) == 4.0


@pytest.mark.parametrize("now", [NOW, DEADLINE, DEADLINE + 1])
def test_a_completed_generation_ends_the_wait_even_after_the_deadline(now: float) -> None:
    result = wait().on_generation(Generation(ID, Status.COMPLETED, credits_used=190), now)
    assert isinstance(result, WaitResult)
    assert (result.ending, result.manifest["credits_used"]) == (Ending.COMPLETED, 190)
    assert result.manifest_or_raise() == result.manifest


@pytest.mark.parametrize(
    ("fields", "why", "operator", "sensor"),
    [
        (
            {"error": "boom"},
            "boom",
            errors.Veo3GenerationFailedError,
            errors.Veo3SensorFailedError,
        ),
        (
            {"error_code": "GENERATION_FAILED"},
            "GENERATION_FAILED",
            errors.Veo3GenerationFailedError,
            errors.Veo3SensorFailedError,
        ),
        (
            {},
            "the API gives no reason",
            errors.Veo3GenerationFailedError,
            errors.Veo3SensorFailedError,
        ),
        (
            {"error_code": "CONTENT_POLICY_VIOLATION", "error": "bad words"},
            "bad words",
            errors.Veo3GenerationRefusedError,
            errors.Veo3GenerationRefusedError,
        ),
        (
            {"error": "Content violates usage policies"},
            "Content violates usage policies",
            errors.Veo3GenerationRefusedError,
            errors.Veo3GenerationRefusedError,
        ),
        (
            {"error": "Internal error: retry policy exhausted"},
            "Internal error: retry policy exhausted",
            errors.Veo3GenerationFailedError,
            errors.Veo3SensorFailedError,
        ),
    ],
)
def test_a_failed_generation(
    fields: dict[str, str], why: str, operator: type[Exception], sensor: type[Exception]
) -> None:
    one, failed = wait(), Generation(ID, Status.FAILED, **fields)  # type: ignore[arg-type]
    assert one.on_generation(failed, NOW) == pytest.approx(LATE * 30)
    result = one.on_generation(failed, NOW + 30)
    assert isinstance(result, WaitResult)
    assert result.ending is Ending.FAILED
    for is_sensor, kind in ((False, operator), (True, sensor)):
        with pytest.raises(errors.Veo3GenerationError) as caught:
            result.manifest_or_raise(sensor=is_sensor)
        assert type(caught.value) is kind
        advice = CHANGE if kind is errors.Veo3GenerationRefusedError else RETRY
        assert str(caught.value) == f"Generation {ID} failed: {why}. {REFUNDED} {advice}"
        assert (caught.value.generation_id, caught.value.manifest["status"]) == (ID, "failed")
    assert not issubclass(errors.Veo3GenerationFailedError, AirflowFailException)
    assert issubclass(sensor, AirflowFailException)


@pytest.mark.parametrize(
    ("response", "state"),
    [
        (RUNNING, "is still processing at the deadline"),
        (Generation(ID, Status.PENDING), "is still pending at the deadline"),
        (
            errors.Veo3ServerError("the API is down"),
            "cannot be polled (the API is down) at the deadline",
        ),
    ],
)
def test_the_deadline_ends_the_wait_and_says_that_credits_were_spent(response: Any, state: str) -> None:
    one = wait()
    judge = one.on_generation if isinstance(response, Generation) else one.on_error
    assert not isinstance(judge(response, DEADLINE - 1), WaitResult)
    result = judge(response, DEADLINE)
    assert isinstance(result, WaitResult)
    assert result.ending is Ending.TIMEOUT
    for words in (state, ID, "paid for and goes on", "no way to cancel", "Veo3GenerationSensor"):
        assert words in result.message
    with pytest.raises(errors.Veo3GenerationTimeoutError) as caught:
        result.manifest_or_raise()
    assert type(caught.value) is errors.Veo3GenerationTimeoutError
    with pytest.raises(errors.Veo3SensorTimeoutError) as sensor:
        result.manifest_or_raise(sensor=True)
    assert isinstance(sensor.value, AirflowSensorTimeout)


def test_a_timeout_before_the_first_poll_says_so() -> None:
    assert "was not polled yet at the deadline" in wait().time_out().message
    assert wait().time_out().manifest == {}


def test_the_last_manifest_survives_trouble() -> None:
    one = wait()
    one.on_generation(RUNNING, NOW)
    one.on_error(errors.Veo3ServerError("down"), NOW)
    assert one.time_out().manifest["status"] == "processing"
    assert one.end_with(errors.Veo3AuthenticationError("no")).manifest["model"] == "m"


TRANSIENT = [
    errors.Veo3NoAnswerError("x"),
    errors.Veo3ServerError("x"),
    errors.Veo3RateLimitError("x"),
    errors.Veo3UnreadableAnswerError("x"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: type(error).__name__)
def test_trouble_that_passes_is_waited_out_ever_more_patiently(error: errors.Veo3ApiError) -> None:
    one = wait()
    assert [one.on_error(error, NOW) for _ in range(5)] == [10.0, 20.0, 40.0, 60.0, 60.0]
    assert one.on_generation(RUNNING, NOW) == 10.0
    assert one.on_error(error, NOW) == 10.0


def test_a_long_interval_is_never_shortened_by_trouble() -> None:
    one = wait(poll_interval=300.0, deadline=1e9)
    assert [one.on_error(TRANSIENT[0], NOW) for _ in range(3)] == [300.0, 300.0, 300.0]


def test_trouble_without_end_does_not_overflow() -> None:
    one = wait(deadline=1e12)
    assert {one.on_error(TRANSIENT[0], NOW) for _ in range(3000)} == {10.0, 20.0, 40.0, 60.0}


@pytest.mark.parametrize(
    ("hint", "now", "pause"),
    [
        (None, NOW, 10.0),
        (0.0, NOW, 10.0),
        (5.0, NOW, 10.0),
        (77.0, NOW, 77.0),
        (5000.0, NOW, 900.0),  # its unit may be another
        (77_000.0, DEADLINE - 800, 800.0),
        (77.0, DEADLINE - 7, 7.0),
    ],
)
def test_a_hint_is_heeded_up_to_a_quarter_of_an_hour_and_the_deadline(
    hint: float | None, now: float, pause: float
) -> None:
    assert wait().on_error(limited(hint), now) == pause


PERMANENT = [
    (errors.Veo3AuthenticationError("401", status=401), errors.Veo3AuthenticationError),
    (errors.Veo3InsufficientCreditsError("402", status=402), errors.Veo3InsufficientCreditsError),
    (errors.Veo3GenerationNotFoundError("404", status=404), errors.Veo3GenerationNotFoundError),
    (errors.Veo3BadRequestError("400", status=400), errors.Veo3BadRequestError),
    (errors.Veo3ConnectionConfigError("no key"), errors.Veo3ConnectionConfigError),
    (errors.Veo3ValidationError("no id"), errors.Veo3ValidationError),
    (errors.Veo3StorageError("odd"), errors.Veo3PermanentApiError),
]


@pytest.mark.parametrize(("error", "kind"), PERMANENT)
def test_trouble_that_stays_ends_the_wait_at_once_as_what_it_is(
    error: errors.Veo3Error, kind: type[Exception]
) -> None:
    result = wait().on_error(error, NOW)
    assert isinstance(result, WaitResult)
    assert (result.ending, result.reason) == (Ending.ERROR, type(error).__name__)
    assert result.message.startswith(str(error))
    is_known = not isinstance(error, errors.Veo3GenerationNotFoundError)
    assert (f"{result.generation_id} was paid for and may go on" in result.message) is is_known
    for sensor in (False, True):
        with pytest.raises(AirflowFailException, match=str(error)) as caught:
            WaitResult.from_event(result.to_event(), ID).manifest_or_raise(sensor=sensor)
        assert type(caught.value) is kind


@pytest.mark.parametrize("ending", Ending)
def test_an_event_survives_the_way_through_the_database(ending: Ending) -> None:
    result = WaitResult(ID, ending, "the message", "WHY", Generation(ID, Status.COMPLETED).manifest())
    event = json.loads(json.dumps(result.to_event(), allow_nan=False))
    assert WaitResult.from_event(event) == WaitResult.from_event(event, ID) == result
    assert event["version"] == 1


GOOD = WaitResult(ID, Ending.COMPLETED, "ok").to_event()


@pytest.mark.parametrize(
    "change",
    [
        {"generation_id": None},
        {"generation_id": "\x07"},
        {"generation_id": "veo_other"},
        {"ending": "won"},
        {"ending": None},
        {"ending": ["completed"]},
        {"ending": {}},
        {"message": None},
        {"message": {"a": 1}},
        {"manifest": None},
        {"manifest": [1]},
        {"manifest": {"id": "veo_other"}},
        {"version": 2},
        {"version": None},
        {"version": "1"},
    ],
)
def test_an_event_that_is_not_ours_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(
        errors.Veo3GenerationError,
        match=r"event cannot be used.*stays paid for; a retry of the task waits for it again",
    ):
        WaitResult.from_event({**GOOD, **change}, ID)


@pytest.mark.parametrize("event", [None, "", "completed", 5, [], [GOOD], {}, {"status": "success"}])
def test_what_is_no_event_is_refused(event: object) -> None:
    with pytest.raises(errors.Veo3GenerationError, match="event cannot be used"):
        WaitResult.from_event(event)


@pytest.mark.parametrize(
    "reason", [None, 5, ["x"], "Veo3StorageError", "SystemExit", "__class__", "x" * 1000]
)
def test_a_reason_is_only_a_name_that_is_known(reason: object) -> None:
    event = {**GOOD, "ending": "error", "reason": reason}
    with pytest.raises(errors.Veo3PermanentApiError) as caught:
        WaitResult.from_event(event).manifest_or_raise()
    assert type(caught.value) is errors.Veo3PermanentApiError


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([ID, "completed", "failed", "timeout", "error", 1, "Veo3AuthenticationError"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "id", "x"]), inner, max_size=6)
    ),
)


@given(
    JSON | st.fixed_dictionaries({name: st.just(value) | JSON for name, value in GOOD.items()}), st.booleans()
)
def test_any_event_is_a_result_that_ends_or_is_refused(event: Any, sensor: bool) -> None:
    try:
        result = WaitResult.from_event(event)
        manifest = result.manifest_or_raise(sensor=sensor)
    except errors.Veo3Error:
        return
    assert result.ending is Ending.COMPLETED
    assert isinstance(manifest, dict)
