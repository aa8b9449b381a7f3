"""Laws of inspections: what is shown is what was committed to, chance is fair, and a beacon has one value."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.world import deal_group
from vetonet.crypto.dvrf import BeaconInput, combine_partials, evaluate_partial
from vetonet.crypto.rng import SeededRng
from vetonet.errors import ProofError, RefusedError
from vetonet.policy.joint_randomness import compute_joint_output
from vetonet.policy.specification import FieldName, Specification, compute_place, verify_field
from vetonet.policy.transcript import choose_segments

NAMES = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=12)
FIELDS = st.dictionaries(NAMES, st.binary(max_size=40), max_size=6)
KNOWN = frozenset(FieldName)
RNG = SeededRng(b"inspection laws")
PACKAGE, SHARES = deal_group(5, 3, RNG)


def make(fields: dict[str, bytes]) -> Specification:
    names = {*fields, *KNOWN}
    assume(len({compute_place(name) for name in names}) == len(names))
    return Specification.generate(fields, SeededRng(b"secret"))


@settings(max_examples=15, deadline=None)
@given(fields=FIELDS, asked=NAMES)
def test_a_name_shows_its_field_or_that_there_is_none_and_nothing_else(
    fields: dict[str, bytes], asked: str
) -> None:
    # VN-19.2
    specification = make(fields)
    try:
        opening = specification.open_field(asked)
    except RefusedError:
        assert compute_place(asked) in {compute_place(name) for name in {*fields, *KNOWN}}
        return
    verify_field(opening, specification.root)
    assert opening.value == (fields.get(asked) if asked not in KNOWN else fields.get(asked, b""))


@settings(max_examples=8, deadline=None)
@given(
    fields=FIELDS,
    value=st.none() | st.binary(max_size=40),
    other=NAMES,
    salt=st.binary(min_size=32, max_size=32),
)
def test_no_other_answer_verifies(
    fields: dict[str, bytes], value: bytes | None, other: str, salt: bytes
) -> None:
    # VN-19.2
    specification = make(fields)
    opening = specification.open_field("data")
    for changed in (
        replace(opening, value=value),
        replace(opening, salt=salt),
        replace(opening, name=other),
        replace(opening, path=opening.path[1:] + opening.path[:1]),
    ):
        if changed != opening:
            with pytest.raises(ProofError):
                verify_field(changed, specification.root)


@given(output=st.binary(max_size=64), count=st.integers(1, 5000), samples=st.integers(1, 60))
def test_chance_chooses_as_many_as_there_can_be_and_none_twice(
    output: bytes, count: int, samples: int
) -> None:
    # VN-19.7
    chosen = choose_segments(output, count, samples)
    assert len(set(chosen)) == len(chosen) == min(count, samples)
    assert all(0 <= index < count for index in chosen)


@given(
    values=st.lists(st.binary(min_size=32, max_size=32), min_size=3, max_size=3),
    changed=st.integers(0, 2),
    other=st.binary(min_size=32, max_size=32),
)
def test_every_contribution_counts(values: list[bytes], changed: int, other: bytes) -> None:
    # VN-19.11
    roster = ("p1", "p2", "p3")
    given_values = dict(zip(roster, values, strict=True))
    altered = given_values | {roster[changed]: other}
    same = compute_joint_output(bytes(32), roster, given_values) == compute_joint_output(
        bytes(32), roster, altered
    )
    assert same == (altered == given_values)


@settings(max_examples=15, deadline=None)
@given(message=st.binary(max_size=80), chosen=st.sets(st.integers(0, 4), min_size=3))
def test_a_beacon_has_one_value_for_each_input(message: bytes, chosen: set[int]) -> None:
    # VN-19.13
    asked = BeaconInput(group_public_key=PACKAGE.group_public_key, context=b"laws", message=message)
    parts = [evaluate_partial(asked, share, RNG) for share in SHARES]
    some = combine_partials(asked, [parts[index] for index in chosen], PACKAGE)
    assert some == combine_partials(asked, parts, PACKAGE)
