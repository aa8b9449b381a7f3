"""Whom a treaty lets enrol chips and log batches, as far as this package needs to know it (VN-8.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from vetonet.crypto.keys import PublicKey
from vetonet.crypto.statement import Signed, Statement, open_statement, read_unverified
from vetonet.encoding.record import member, tstr
from vetonet.errors import UnknownPartyError


class Maker(Protocol):
    """A chip maker as a treaty names it."""

    @property
    def endorser_id(self) -> str:
        """Its name."""
        ...

    @property
    def root_key(self) -> PublicKey:
        """The pinned key of its root."""
        ...

    @property
    def attester_kind(self) -> str:
        """The only kind of attester it vouches for."""
        ...


class Owner(Protocol):
    """An operator as a treaty names it."""

    @property
    def operator_id(self) -> str:
        """Its name."""
        ...

    @property
    def key(self) -> PublicKey:
        """Its statement key."""
        ...


class TrustAnchors(Protocol):
    """Whom a treaty lets enrol chips and log batches; ``vetonet.policy.treaty.Treaty`` is one."""

    @property
    def endorsers(self) -> Sequence[Maker]:
        """The makers."""
        ...

    @property
    def operators(self) -> Sequence[Owner]:
        """The operators."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerStatement(Statement):
    """What a maker signs alone, with its root key.

    Attributes:
        endorser_id: the maker, as the treaty names it.
    """

    endorser_id: str = member(1, tstr(64))


M = TypeVar("M", bound=MakerStatement)


def index_makers(makers: Iterable[Maker]) -> Mapping[str, PublicKey]:
    """Return the makers' root keys by name."""
    return {maker.endorser_id: maker.root_key for maker in makers}


def index_owners(owners: Iterable[Owner]) -> Mapping[str, PublicKey]:
    """Return the operators' keys by name."""
    return {owner.operator_id: owner.key for owner in owners}


def open_by_maker(data: bytes, kind: type[M], makers: Iterable[Maker], clause: str) -> Signed[M]:
    """Return a statement that the maker it names signed.

    Args:
        data: untrusted bytes.
        kind: the statement class that is expected here.
        makers: who may sign such a statement, each in its own name.
        clause: the rule that says so.

    Raises:
        EncodingError: not a statement of this kind.
        UnknownPartyError: it names none of these makers, or that one did not sign it.
        InvalidSignatureError: the signature does not verify.
    """
    claimed = read_unverified(data, kind).endorser_id
    keys = {maker.root_key.key_id: maker.root_key for maker in makers if maker.endorser_id == claimed}
    if not keys:
        raise UnknownPartyError(f"no endorser {claimed!r}", culprit=claimed, clause=clause)
    return open_statement(data, kind, keys)
