"""A private specification: one field at a time, nothing else with it, and no second value (VN-19)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vetonet.crypto.rng import SeededRng
from vetonet.errors import EncodingError, ProofError, RefusedError
from vetonet.policy.specification import (
    DEPTH,
    FieldName,
    Specification,
    SpecificationField,
    compute_place,
    is_about,
    require_askable,
    verify_field,
)

VALUES = {"data": b"a crawl", "lineage": b"", "tokenizer": b"our own"}
SPECIFICATION = Specification.generate(VALUES, SeededRng(b"one"))
ROOT = SPECIFICATION.root
COLLIDING = next(f"free-{n}" for n in range(100_000) if compute_place(f"free-{n}") == compute_place("data"))


@pytest.mark.parametrize("name", ["data", "tokenizer", "hardware-plan"])
def test_each_field_is_shown_under_the_root(name: str) -> None:
    opening = SPECIFICATION.open_field(name)
    verify_field(opening, ROOT)
    assert opening.value == VALUES.get(name, b"")


def test_that_there_is_no_such_field_is_shown_as_well() -> None:
    opening = SPECIFICATION.open_field("safety-case")
    assert opening.value is None
    verify_field(opening, ROOT)


@pytest.mark.parametrize(
    "changes",
    [
        {"value": b"another crawl"},
        {"value": b""},
        {"salt": bytes(32)},
        {"name": "tokenizer"},
        {"path": (bytes(32),) * DEPTH},
    ],
)
def test_another_value_salt_name_or_path_is_refused(changes: dict[str, object]) -> None:
    # VN-19.2
    with pytest.raises(ProofError):
        verify_field(replace(SPECIFICATION.open_field("data"), **changes), ROOT)  # type: ignore[arg-type]


def test_an_empty_leaf_is_no_answer_about_a_field_that_all_have() -> None:
    # VN-19.2: an operator that left the field out cannot say that there is nothing to see.
    absent = replace(SPECIFICATION.open_field("safety-case"), name="lineage")
    with pytest.raises(ProofError, match="every specification has"):
        verify_field(absent, ROOT)


def test_a_field_cannot_be_denied() -> None:
    # VN-19.2
    with pytest.raises(ProofError):
        verify_field(replace(SPECIFICATION.open_field("tokenizer"), value=None), ROOT)


def test_a_path_of_another_length_is_no_opening() -> None:
    opening = SPECIFICATION.open_field("data")
    with pytest.raises(EncodingError):
        replace(opening, path=opening.path[:-1]).to_bytes()


def test_two_fields_of_one_name_are_refused() -> None:
    # VN-19.1: else an operator could show whichever of the two it likes.
    twice = (SpecificationField(name="data", value=b"1"), SpecificationField(name="data", value=b"2"))
    with pytest.raises(ValueError, match="once each"):
        replace(SPECIFICATION, fields=(*twice, *SPECIFICATION.fields[1:]))


@pytest.mark.parametrize("name", list(FieldName))
def test_a_specification_without_a_field_that_all_have_is_refused(name: str) -> None:
    # VN-19.1
    with pytest.raises(ValueError, match=name):
        replace(SPECIFICATION, fields=tuple(f for f in SPECIFICATION.fields if f.name != name))


def test_two_names_with_one_place_are_refused() -> None:
    # VN-19.1
    with pytest.raises(ValueError, match="one place"):
        Specification.generate({COLLIDING: b""}, SeededRng(b"two"))


def test_no_two_names_that_all_have_share_a_place() -> None:
    assert len({compute_place(name) for name in FieldName}) == len(FieldName)


def test_nobody_asks_for_a_name_that_only_another_field_could_deny() -> None:
    # VN-19.3
    with pytest.raises(RefusedError) as caught:
        require_askable(COLLIDING)
    assert caught.value.clause == "VN-19.3"
    with pytest.raises(RefusedError):
        SPECIFICATION.open_field(COLLIDING)


def test_whoever_has_another_field_in_the_place_shows_that_one_or_nothing() -> None:
    # VN-19.2
    taken = next(f"y{n}" for n in range(100_000) if compute_place(f"y{n}") == compute_place("tokenizer"))
    with pytest.raises(RefusedError, match="another field"):
        SPECIFICATION.open_field(taken)
    other = SPECIFICATION.open_place(taken)
    verify_field(other, ROOT)
    assert is_about(other, taken)
    assert not is_about(replace(other, value=None), taken)
    assert not is_about(other, "data")
    assert SPECIFICATION.open_place("safety-case") == SPECIFICATION.open_field("safety-case")


def test_the_same_fields_under_another_secret_have_another_root() -> None:
    assert Specification.generate(VALUES, SeededRng(b"three")).root != ROOT


def test_an_opening_has_one_size_however_many_fields_there_are() -> None:
    many = Specification.generate({**VALUES, **{f"note-{n}": b"x" for n in range(9)}}, SeededRng(b"four"))
    assert len(many.open_field("data").to_bytes()) == len(SPECIFICATION.open_field("data").to_bytes())


def test_no_salt_but_that_of_the_field_is_in_an_opening() -> None:
    shown = SPECIFICATION.open_field("data").to_bytes()
    other = SPECIFICATION.open_field("tokenizer")
    assert other.salt not in shown
    assert SPECIFICATION.secret not in shown


def test_the_private_file_is_read_back_and_has_one_spelling() -> None:
    data = SPECIFICATION.to_bytes()
    assert Specification.from_bytes(data) == SPECIFICATION
    with pytest.raises(EncodingError):
        Specification.from_bytes(data + b"\x00")


def test_nothing_private_is_in_a_repr() -> None:
    shown = repr((SPECIFICATION, SPECIFICATION.fields, SPECIFICATION.open_field("data")))
    assert "crawl" not in shown
    assert "tokenizer" not in shown
    assert SPECIFICATION.secret.hex() not in shown
