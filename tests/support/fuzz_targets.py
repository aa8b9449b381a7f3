"""What guided fuzzing digs into: groups of parsers that meet strangers' bytes, with seeds made here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from support.world import make_council
from vetonet.crypto import cose
from vetonet.crypto.statement import open_joint_statement, open_statement, peek, read_unverified
from vetonet.encoding import cbor
from vetonet.policy.ballot import Ballot
from vetonet.policy.proposal import Proposal
from vetonet.policy.treaty import Treaty


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One group of parsers, and bytes that they take, to start from."""

    parsers: tuple[Callable[[bytes], object], ...]
    list_seeds: Callable[[], Iterator[bytes]]


_COUNCIL: Final = make_council(2, 2, ("p1",))
_TREATY: Final = _COUNCIL.treaty
_MAX_BYTES: Final = 64 * 1024


def _seed_cose() -> Iterator[bytes]:
    proposal = _COUNCIL.sign_proposal()
    yield from (_TREATY.data, proposal.data, proposal.data[1:], _COUNCIL.sign_ballot("p1", proposal).data)
    yield cose.sign1_detached(b"payload", {1: -8}, {}, _COUNCIL.log_key)
    yield b"\xa1\x01\x27"


TARGETS: Final[Mapping[str, Target]] = MappingProxyType(
    {
        "cose": Target(
            parsers=(
                lambda data: cbor.from_bytes(data, max_bytes=_MAX_BYTES),
                cose.parse_header,
                cose.parse_sign1,
                lambda data: cose.parse_sign1(data, tagged=False),
                cose.parse_detached_sign1,
                cose.parse_sign,
                peek,
                lambda data: read_unverified(data, Proposal),
                lambda data: open_statement(data, Ballot, _TREATY.statement.party_keys),
                lambda data: open_joint_statement(data, Treaty, _TREATY.signers),
            ),
            list_seeds=_seed_cose,
        ),
    }
)
