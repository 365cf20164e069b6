"""Signatures: the vector of the specification, and what the reference implementation says of ours."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from webhooks.signing import new_secret, signature_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
BODIES = JSON.map(lambda value: json.dumps(value, ensure_ascii=False).encode())
IDS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=1, max_size=40)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def accepts(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    """Whether the reference implementation takes the message as genuine and recent."""
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def current() -> datetime:
    """Now, as the reference implementation reads its own clock."""
    return datetime.now(UTC)


def test_the_reference_vector_gives_the_reference_signature() -> None:
    moment = datetime.fromtimestamp(1614265330, UTC)
    assert signature_headers(MESSAGE, b'{"test": 2432232314}', [SECRET], moment) == {
        "webhook-id": MESSAGE,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(body=BODIES, identity=IDS, zone=OFFSETS)
def test_the_reference_implementation_accepts_every_message_of_ours(body: bytes, identity: str, zone: timezone) -> None:
    secret = new_secret()
    assert accepts(secret, body, signature_headers(identity, body, [secret], current().astimezone(zone)))


@given(body=BODIES, other=BODIES)
def test_an_altered_body_is_rejected(body: bytes, other: bytes) -> None:
    headers = signature_headers(MESSAGE, body, [SECRET], current())
    assert accepts(SECRET, other, headers) == (other == body)


@given(body=BODIES, other=IDS)
def test_an_altered_id_is_rejected(body: bytes, other: str) -> None:
    headers = signature_headers(MESSAGE, body, [SECRET], current())
    assert not accepts(SECRET, body, {**headers, "webhook-id": other})


@given(body=BODIES, shift=st.integers(-200, 200).filter(bool))
def test_an_altered_timestamp_is_rejected(body: bytes, shift: int) -> None:
    headers = signature_headers(MESSAGE, body, [SECRET], current())
    moved = str(int(headers["webhook-timestamp"]) + shift)
    assert not accepts(SECRET, body, {**headers, "webhook-timestamp": moved})


@given(body=BODIES)
def test_another_secret_is_rejected(body: bytes) -> None:
    assert not accepts(new_secret(), body, signature_headers(MESSAGE, body, [SECRET], current()))


@given(body=BODIES, minutes=st.integers(6, 100_000))
def test_an_old_timestamp_is_rejected(body: bytes, minutes: int) -> None:
    moment = current() - timedelta(minutes=minutes)
    assert not accepts(SECRET, body, signature_headers(MESSAGE, body, [SECRET], moment))


@given(body=BODIES)
def test_while_a_secret_rotates_both_are_accepted_and_no_third(body: bytes) -> None:
    old, new = new_secret(), new_secret()
    headers = signature_headers(MESSAGE, body, [new, old], current())
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert accepts(old, body, headers)
    assert accepts(new, body, headers)
    assert not accepts(new_secret(), body, headers)


def test_a_moment_is_the_same_in_every_zone() -> None:
    moment = datetime(2026, 5, 31, 10, 0, 0, 999_999, tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert signature_headers(MESSAGE, b"{}", [SECRET], moment) == signature_headers(MESSAGE, b"{}", [SECRET], elsewhere)
    assert signature_headers(MESSAGE, b"{}", [SECRET], moment)["webhook-timestamp"] == "1780221600"


def test_a_secret_is_new_each_time_and_has_32_bytes() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.startswith("whsec_") and len(secret) == 6 + 44 for secret in secrets)


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        signature_headers(MESSAGE, b"{}", [SECRET], datetime(2026, 5, 31))  # noqa: DTZ001 - what is refused


@pytest.mark.parametrize("identity", ["", "msg.1", "msg 1", "msg\r\nX: 1", "mßg", "msg_1\n"])
def test_an_id_that_could_be_read_in_two_ways_is_refused(identity: str) -> None:
    with pytest.raises(ValueError, match="message id"):
        signature_headers(identity, b"{}", [SECRET], current())


def test_no_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        signature_headers(MESSAGE, b"{}", [], current())


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_ä", "•••"]
)
def test_a_secret_of_another_form_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="base64 of 24 to 64 bytes") as refusal:
        signature_headers(MESSAGE, b"{}", [secret], current())
    assert not secret.removeprefix("whsec_") or secret.removeprefix("whsec_") not in str(refusal.value)
