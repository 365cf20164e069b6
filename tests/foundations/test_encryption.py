"""Encryption of secrets: every tampering is an error, and a value is readable in its own place alone."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliantra.encryption import InvalidKeyRing, KeyRing, UnreadableSecret, decrypt, encrypt, needs_rotation, place


def key(byte: int) -> str:
    """Base64 of a key that is easy to name."""
    return base64.b64encode(bytes([byte]) * 32).decode()


OLD, BOTH, NEW = f"1:{key(1)}", f"2:{key(2)},1:{key(1)}", f"2:{key(2)}"
RING = KeyRing.parse(BOTH)
HERE = place("endpoint", "secret", "row", "workspace")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_what_was_encrypted_is_read_again_in_its_place(text: str) -> None:
    stored = encrypt(text, RING, HERE)
    assert stored.startswith("a1:2:")
    assert stored.isascii()
    assert decrypt(stored, RING, HERE) == text
    assert encrypt(text, RING, HERE) != stored


@given(st.text(min_size=8), st.data())
def test_a_value_of_which_any_character_was_changed_is_unreadable(text: str, data: st.DataObject) -> None:
    stored = encrypt(text.encode("utf-8", "replace").decode(), RING, HERE)
    index = data.draw(st.integers(0, len(stored) - 1))
    other = data.draw(st.characters() | st.sampled_from("AZaz09-_:=+/12"))
    altered = stored[:index] + other + stored[index + 1 :]
    if altered != stored:
        with pytest.raises(UnreadableSecret):
            decrypt(altered, RING, HERE)


@given(TEXTS, st.data())
def test_a_value_that_was_cut_or_lengthened_is_unreadable(text: str, data: st.DataObject) -> None:
    stored = encrypt(text, RING, HERE)
    cut = data.draw(st.integers(0, len(stored) - 1))
    added = data.draw(st.text(min_size=1, max_size=5) | st.sampled_from(["=", "==", "A", "\n", " "]))
    for altered in (stored[:cut], stored[cut + 1 :], stored + added, added + stored):
        with pytest.raises(UnreadableSecret):
            decrypt(altered, RING, HERE)


@given(st.text() | st.text("a1:2AZ_-=").map("a1:2:".__add__))
def test_what_was_never_encrypted_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableSecret):
        decrypt(text, RING, HERE)


PLACES = st.tuples(*[st.text('ab\x1f",[]', max_size=3)] * 4)


@given(PLACES, PLACES)
def test_a_value_is_readable_in_no_other_place(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    stored = encrypt("text", RING, place(*one))
    if one != other:
        with pytest.raises(UnreadableSecret, match="another place"):
            decrypt(stored, RING, place(*other))


def test_a_value_relabelled_with_another_keys_version_is_unreadable() -> None:
    same_key_as_1 = KeyRing.parse(f"3:{key(1)}")
    stored = encrypt("text", KeyRing.parse(OLD), HERE)
    with pytest.raises(UnreadableSecret):
        decrypt(stored.replace("a1:1:", "a1:2:"), RING, HERE)
    with pytest.raises(UnreadableSecret):
        decrypt(stored.replace("a1:1:", "a1:3:"), same_key_as_1, HERE)


def test_a_value_under_a_key_that_is_not_in_the_ring_is_unreadable() -> None:
    with pytest.raises(UnreadableSecret, match="key 1, which is not in the ring"):
        decrypt(encrypt("text", KeyRing.parse(OLD), HERE), KeyRing.parse(NEW), HERE)


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    stored = encrypt("text", KeyRing.parse(OLD), HERE)
    assert decrypt(stored, RING, HERE) == "text"
    assert needs_rotation(stored, RING)
    assert not needs_rotation(encrypt("text", RING, HERE), RING)
    with pytest.raises(UnreadableSecret):
        needs_rotation("text", RING)


def test_a_lone_surrogate_is_refused_without_repeating_the_text() -> None:
    with pytest.raises(ValueError, match="lone surrogate") as refusal:
        encrypt("secret\ud800", RING, HERE)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no key"),
        (" ", "no key"),
        (",", "Key 1 is not of the form"),
        (key(1), "Key 1 is not of the form"),
        (f"{OLD},", "Key 2 is not of the form"),
        ("1:%%%%", "Key 1 is not base64"),
        ("1:ключ", "Key 1 is not base64"),
        ("1:c2hvcnQ=", "Key 1: A key has 32 bytes, not 5"),
        (f"{key(1)}:1", "Key 1: A key has 32 bytes|Key 1 is not base64"),
        (f":{key(1)}", "Key 1: A key version"),
        (f"a_b:{key(1)}", "Key 1: A key version"),
        (f"1:{key(1)},1:{key(2)}", "same version"),
        (f"1:{key(1)},2:{key(1)}", "same key"),
    ],
)
def test_a_text_that_is_no_ring_is_refused_without_repeating_it(text: str, reason: str) -> None:
    with pytest.raises(InvalidKeyRing, match=reason) as refusal:
        KeyRing.parse(text)
    assert key(1) not in str(refusal.value)
    assert "c2hvcnQ" not in str(refusal.value)


def test_a_ring_is_read_in_either_alphabet_and_shows_no_key() -> None:
    material = bytes(range(224, 256))
    for encoded in (base64.b64encode(material), base64.urlsafe_b64encode(material), base64.b64encode(material)[:-1]):
        ring = KeyRing.parse(f" 2026-05:{encoded.decode()} , {OLD}")
        assert [entry.version for entry in ring.keys] == ["2026-05", "1"]
        assert ring.first.material == material
        assert "material" not in repr(ring)
        assert repr(material) not in repr(ring)
