"""The private specification of a run: named fields under one digest, each to be shown alone (VN-19).

A field stands where its name says, in a tree of a fixed size whose other leaves look the same: so one name
has one place and one value, that a name has no field can be shown too, and neither the root nor a path tells
how many fields there are.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar, Final, Self

from vetonet.crypto.merkle import Tree, compute_inclusion_proof, compute_leaf_hash, verify_inclusion
from vetonet.encoding.record import DIGEST, DIGEST_BYTES, Record, bstr, many, member, record, tstr
from vetonet.errors import ProofError, RefusedError
from vetonet.units import Rng

DEPTH: Final = 12
"""A tree of 4,096 leaves: two of ten names meet in one with a chance of 1 %, and one is renamed then."""

PLACES: Final = 1 << DEPTH
SALT_BYTES: Final = 32
MAX_VALUE_BYTES: Final = 8 * 1024
MAX_NAME_CHARS: Final = 64
MAX_FIELDS: Final = 64

_FIELD: Final = b"vetonet specification field 1\n"
_EMPTY: Final = b"vetonet specification empty 1\n"
_SALT: Final = b"vetonet specification salt 1\n"
_PLACE: Final = b"vetonet specification place 1\n"


class FieldName(StrEnum):
    """The fields that every specification has, if only without content; others are free."""

    DATA = "data"
    HYPER_PARAMETERS = "hyper-parameters"
    HARDWARE_PLAN = "hardware-plan"
    EVALUATIONS = "evaluations"
    LINEAGE = "lineage"


NAME: Final = tstr(MAX_NAME_CHARS)
VALUE: Final = bstr(0, MAX_VALUE_BYTES)
PATH: Final = many(DIGEST, minimum=DEPTH, maximum=DEPTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecificationField(Record):
    """One private fact about a run; secret until its operator opens it.

    Attributes:
        name: what it is about.
        value: what is to be said, as text in UTF-8; empty where there is nothing to say.
    """

    name: str = member(1, NAME)
    value: bytes = member(2, VALUE)

    def __repr__(self) -> str:
        """Return nothing of the content: a name may give away as much as a value."""
        return "SpecificationField(<redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOpening(Record):
    """A field, and what shows that it stands under a root; or that no field of this name does.

    Attributes:
        name: which field.
        value: its content, or None where the specification has no such field.
        salt: what hid the leaf.
        path: the sibling hashes from the leaf up, lowest first (RFC 9162 section 2.1.3).
    """

    name: str = member(1, NAME)
    value: bytes | None = member(2, VALUE, optional=True)
    salt: bytes = member(3, bstr(SALT_BYTES))
    path: tuple[bytes, ...] = member(4, PATH)

    def __repr__(self) -> str:
        """Return nothing of the content: an opening is public only once its operator says so."""
        return "FieldOpening(<redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification(Record):
    """All private fields of a run and the secret that hides them: what its operator keeps, for itself.

    Attributes:
        secret: what the salt of each leaf follows from; one salt tells nothing about another.
        fields: by rising name.
    """

    MAX_BYTES: ClassVar[int] = MAX_FIELDS * (MAX_VALUE_BYTES + 2 * 4 * MAX_NAME_CHARS)

    secret: bytes = member(1, bstr(DIGEST_BYTES))
    fields: tuple[SpecificationField, ...] = member(2, many(record(SpecificationField), maximum=MAX_FIELDS))

    def __post_init__(self) -> None:
        """Refuse fields out of order, two in one place, and a lack of one that all have (VN-19.1)."""
        names = [entry.name for entry in self.fields]
        if any(left >= right for left, right in pairwise(names)):
            raise ValueError("expected the fields of a specification once each, by rising name")
        if missing := {*FieldName} - {*names}:
            raise ValueError(f"a specification has the field {min(missing)!r}, if only without content")
        if len({compute_place(name) for name in names}) < len(names):
            raise ValueError("two names of fields have one place in the tree; rename the one that is free")

    @classmethod
    def generate(cls, values: Mapping[str, bytes], rng: Rng) -> Self:
        """Return a specification with these fields, those of ``FieldName`` that are not given being empty.

        Raises:
            ValueError: two names have one place in the tree.
        """
        filled = {**{name.value: b"" for name in FieldName}, **values}
        fields = (SpecificationField(name=name, value=filled[name]) for name in sorted(filled))
        return cls(secret=rng(DIGEST_BYTES), fields=tuple(fields))

    def __repr__(self) -> str:
        """Return nothing that is private, not even how many fields there are."""
        return "Specification(<redacted>)"

    @property
    def root(self) -> bytes:
        """What a proposal states as ``specification_digest``."""
        return Tree(self._hash_leaves()).root_hash()

    def open_field(self, name: str) -> FieldOpening:
        """Return what shows the field of this name, or that there is none, and of the others nothing.

        Raises:
            RefusedError: it has no such field, and another one in the place where it would be.
        """
        place, values = compute_place(name), {entry.name: entry.value for entry in self.fields}
        taken = {compute_place(entry.name) for entry in self.fields}
        if name not in values and place in taken:
            # What stands there is another field, which showing that there is none would disclose.
            raise RefusedError("another field has the place of this name in the tree", clause="VN-19.2")
        path = compute_inclusion_proof(self._hash_leaves(), place).hashes
        return FieldOpening(name=name, value=values.get(name), salt=self._compute_salt(place), path=path)

    def open_place(self, name: str) -> FieldOpening:
        """Return the same, or the other field that has its place, which shows that this name has none."""
        place = compute_place(name)
        taken = (entry.name for entry in self.fields if compute_place(entry.name) == place)
        return self.open_field(next(taken, name))

    def _hash_leaves(self) -> Iterable[bytes]:
        by_place = {compute_place(entry.name): entry for entry in self.fields}
        for place in range(PLACES):
            entry, salt = by_place.get(place), self._compute_salt(place)
            yield _hash_leaf(None, None, salt) if entry is None else _hash_leaf(entry.name, entry.value, salt)

    def _compute_salt(self, place: int) -> bytes:
        return hmac.digest(self.secret, _SALT + place.to_bytes(4, "big"), "sha256")


def compute_place(name: str) -> int:
    """Return in which leaf a field of this name stands, of whatever specification."""
    return int.from_bytes(hashlib.sha256(_PLACE + name.encode()).digest(), "big") % PLACES


def is_about(opening: FieldOpening, name: str) -> bool:
    """Whether an opening says what there is of a name: its field, none, or another one that has its place."""
    is_taken = opening.value is not None and compute_place(opening.name) == compute_place(name)
    return opening.name == name or is_taken


def require_askable(name: str) -> None:
    """Hold that whoever has no field of this name can show that without showing another one.

    Raises:
        RefusedError: the name has the place of a field that every specification has.
    """
    known = {compute_place(field): field for field in FieldName}
    if known.get(compute_place(name), name) != name:
        raise RefusedError(f"field {name!r} has the place of another field; ask for that", clause="VN-19.3")


def verify_field(opening: FieldOpening, root: bytes) -> None:
    """Hold that this is what a specification says of one name, or that it says nothing of it (VN-19.2).

    Raises:
        ProofError: it is not, or it would leave out a field that every specification has.
    """
    if opening.value is None and opening.name in set(FieldName):
        raise ProofError(f"every specification has a field {opening.name!r}, if only without content")
    named = None if opening.value is None else opening.name
    verify_inclusion(
        leaf_hash=_hash_leaf(named, opening.value, opening.salt),
        leaf_index=compute_place(opening.name),
        tree_size=PLACES,
        proof=opening.path,
        root_hash=root,
    )


def _hash_leaf(name: str | None, value: bytes | None, salt: bytes) -> bytes:
    """Return the hash of one leaf; without a name, of one that holds nothing but its salt."""
    if name is None or value is None:
        return compute_leaf_hash(_EMPTY + salt)
    spelled = name.encode()
    return compute_leaf_hash(_FIELD + salt + len(spelled).to_bytes(2, "big") + spelled + value)
