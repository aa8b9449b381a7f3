"""A small treaty with every key in hand, for all suites: who the parties are, and what they can sign.

Everything follows from the randomness given, so the same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from vetonet.attester.manufacture import SIMULATED
from vetonet.crypto import frost, merkle
from vetonet.crypto.frost.group import ORDER, multiply_base
from vetonet.crypto.frost.polynomial import evaluate
from vetonet.crypto.keys import (
    Algorithm,
    EcdsaSigningKey,
    Ed25519SigningKey,
    SigningKey,
    generate_ecdsa,
    generate_ed25519,
)
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import (
    Signed,
    attach_signature,
    compute_signing_input,
    sign,
    sign_jointly,
)
from vetonet.policy.ballot import SIGNING_ATTEMPTS, Ballot, VetoReason, open_ballot
from vetonet.policy.band import Band, BandRule
from vetonet.policy.licence import Licence, derive_licence, open_licence
from vetonet.policy.proposal import Proposal, open_proposal
from vetonet.policy.quorum import Choice, Threshold
from vetonet.policy.treaty import Endorser, Operator, Party, Treaty, open_treaty
from vetonet.policy.witnessing import Witness, compute_smallest_quorum
from vetonet.tlog.checkpoint import SignedCheckpoint, sign_checkpoint
from vetonet.tlog.cosignature import cosign
from vetonet.tlog.log import Log
from vetonet.tlog.policy import LogPolicy
from vetonet.units import MS_PER_HOUR, Precision, Rng, WorkloadClass

NOW_MS: Final = 1_800_000_000_000
"""When a world's first voting window opens: 2027-01-15T08:00:00Z."""

BANDS: Final = (
    Band(name="free", floor_flop=0, rule=BandRule.FREE),
    Band(name="licensed", floor_flop=10**24, rule=BandRule.LICENSED),
    Band(name="forbidden", floor_flop=10**27, rule=BandRule.FORBIDDEN),
)

Nonces = dict[tuple[str, bytes], tuple[frost.SigningNonces, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Council:
    """A founded treaty and every secret behind it.

    Attributes:
        treaty: signed by all parties.
        party_keys: statement keys by party id; ``p1`` ... ``pn``, in the order of the roster.
        key_shares: FROST key shares by party id.
        operator_keys: by operator id; ``op1`` belongs to no party, ``op2`` to ``p1``.
        endorser_root: the chip maker's P-384 root key (endorser ``maker``, attester kind ``SIMULATED``).
        log_key: what checkpoints are signed with.
        device_keys: of four chips; the default proposal is for all of them.
        witness_keys: what each party's witness cosigns with, by party id.
        rng: what further randomness is drawn from.
        nonces: of each ballot signed here, by party id and proposal digest, one for each signing attempt.
    """

    treaty: Signed[Treaty]
    party_keys: Mapping[str, SigningKey]
    key_shares: Mapping[str, frost.KeyShare]
    operator_keys: Mapping[str, SigningKey]
    endorser_root: EcdsaSigningKey
    log_key: Ed25519SigningKey
    device_keys: tuple[Ed25519SigningKey, ...]
    witness_keys: Mapping[str, Ed25519SigningKey]
    rng: Rng
    nonces: Nonces = field(default_factory=dict)

    @property
    def party_ids(self) -> tuple[str, ...]:
        """The roster's ids in order."""
        return tuple(self.party_keys)

    @property
    def log_policy(self) -> LogPolicy:
        """What a checkpoint must have under this treaty."""
        return LogPolicy.under(self.treaty.statement)

    def sign_head(
        self,
        log: Log,
        tree_size: int | None = None,
        *,
        witness_ids: Iterable[str] | None = None,
        timestamp_s: int = NOW_MS // 1000,
    ) -> bytes:
        """Return a signed checkpoint of a log, cosigned by these parties' witnesses, by default by all."""
        signed = sign_checkpoint(log.checkpoint(tree_size), self.log_key)
        names = self.witness_keys if witness_ids is None else tuple(witness_ids)
        return self.cosign(signed, names, timestamp_s=timestamp_s)

    def cosign(
        self, signed: SignedCheckpoint, witness_ids: Iterable[str], *, timestamp_s: int = NOW_MS // 1000
    ) -> bytes:
        """Return a signed checkpoint with the lines of these parties' witnesses below it, in this order."""
        lines = tuple(
            cosign(
                signed.checkpoint,
                name=self.treaty.statement.find_witness_of(party_id).name,
                signing_key=self.witness_keys[party_id],
                timestamp_s=timestamp_s,
            )
            for party_id in witness_ids
        )
        return replace(signed.note, signatures=(*signed.note.signatures, *lines)).to_bytes()

    def propose(self, **changes: Any) -> Proposal:
        """Return a valid proposal of ``op1`` in the licensed band, with some fields changed."""
        fields: dict[str, Any] = {
            "treaty_digest": self.treaty.payload_digest,
            "epoch": self.treaty.statement.epoch,
            "operator_id": "op1",
            "beneficial_owner": "Owner One",
            "workload": WorkloadClass.TRAINING,
            "precision": Precision.BF16,
            "total_flop": 4 * 10**24,
            "per_device_flop": 10**24,
            "device_set_root": compute_device_set_root(key.public_key.ueid for key in self.device_keys),
            "device_count": len(self.device_keys),
            "opens_ms": NOW_MS,
            "closes_ms": NOW_MS + MS_PER_HOUR,
            "starts_ms": NOW_MS + 2 * MS_PER_HOUR,
            "ends_ms": NOW_MS + 26 * MS_PER_HOUR,
            "specification_digest": bytes(32),
            "lineage": (),
            "serial": self.rng(16),
        }
        return Proposal(**(fields | changes))

    def sign_proposal(self, proposal: Proposal | None = None, **changes: Any) -> Signed[Proposal]:
        """Return a proposal signed by the operator it names, opened as a reader would."""
        chosen = replace(proposal, **changes) if proposal else self.propose(**changes)
        return open_proposal(sign(chosen, self.operator_keys[chosen.operator_id]), self.treaty)

    def cast(self, party_id: str, proposal: Signed[Proposal], choice: Choice, **changes: Any) -> Ballot:
        """Return a valid ballot with some fields changed; a grant's nonces go into ``nonces``."""
        fields: dict[str, Any] = {
            "treaty_digest": self.treaty.payload_digest,
            "epoch": self.treaty.statement.epoch,
            "proposal_digest": proposal.payload_digest,
            "choice": choice,
            "cast_ms": proposal.statement.opens_ms,
            "expires_ms": proposal.statement.ends_ms,
            "reason": VetoReason.SCALE if choice is Choice.VETO else None,
            "commitments": self._commit(party_id, proposal) if choice is Choice.GRANT else (),
        }
        return Ballot(**(fields | changes))

    def sign_ballot(
        self, party_id: str, proposal: Signed[Proposal], choice: Choice = Choice.GRANT, **changes: Any
    ) -> Signed[Ballot]:
        """Return a party's signed ballot, opened as a reader would."""
        ballot = self.cast(party_id, proposal, choice, **changes)
        return open_ballot(sign(ballot, self.party_keys[party_id]), self.treaty)

    def make_signing_package(
        self, licence: Licence, ballots: Mapping[str, Signed[Ballot]], attempt: int = 0
    ) -> frost.SigningPackage:
        """Return what the signers sign in one attempt: the licence and their ballots' commitments."""
        message = compute_signing_input(licence, self.treaty.statement.group_key)
        commitments = tuple(ballot.statement.commitments[attempt] for ballot in ballots.values())
        return frost.SigningPackage(message=message, commitments=commitments)

    def sign_share(
        self, party_id: str, licence: Licence, package: frost.SigningPackage, attempt: int = 0
    ) -> frost.SignatureShare:
        """Return a party's signature share, spending the nonces of its ballot for that attempt."""
        nonces = self.nonces[party_id, licence.proposal_digest][attempt]
        return frost.sign(package, nonces, self.key_shares[party_id])

    def sign_licence(
        self,
        proposal: Signed[Proposal],
        ballots: Mapping[str, Signed[Ballot]],
        *,
        proposal_leaf_index: int = 1,
        ballot_leaf_indices: Sequence[int] | None = None,
        attempt: int = 0,
        **changes: Any,
    ) -> Signed[Licence]:
        """Return the licence of a granted proposal, signed by the given grants (by party id)."""
        first = proposal_leaf_index + 1
        indices = ballot_leaf_indices or range(first, first + len(ballots))
        licence = replace(derive_licence(self.treaty, proposal, proposal_leaf_index, indices), **changes)
        package = self.make_signing_package(licence, ballots, attempt)
        shares = [self.sign_share(party_id, licence, package, attempt) for party_id in ballots]
        signature = frost.aggregate(package, shares, self.treaty.statement.group)
        return open_licence(
            attach_signature(licence, self.treaty.statement.group_key, signature), self.treaty
        )

    def _commit(self, party_id: str, proposal: Signed[Proposal]) -> tuple[frost.SigningCommitments, ...]:
        pairs = [frost.commit(self.key_shares[party_id], self.rng) for _ in range(SIGNING_ATTEMPTS)]
        self.nonces[party_id, proposal.payload_digest] = tuple(nonces for nonces, _ in pairs)
        return tuple(commitments for _, commitments in pairs)


def compute_device_set_root(ueids: Iterable[bytes]) -> bytes:
    """Return the Merkle root over sorted ueids, as a proposal states it."""
    return merkle.compute_root([merkle.compute_leaf_hash(ueid) for ueid in sorted(ueids)])


def deal_group(
    max_signers: int, min_signers: int, rng: Rng
) -> tuple[frost.PublicKeyPackage, tuple[frost.KeyShare, ...]]:
    """Return a FROST group whose secret a dealer drew (RFC 9591 appendix C): quicker than key generation."""
    wide = [int.from_bytes(rng(64), "little") for _ in range(min_signers)]
    coefficients = tuple(frost.Scalar(value % (ORDER - 1) + 1) for value in wide)
    identifiers = tuple(frost.Identifier(number) for number in range(1, max_signers + 1))
    package = frost.PublicKeyPackage(
        vss_commitment=tuple(map(multiply_base, coefficients)), identifiers=identifiers
    )
    shares = tuple(
        frost.KeyShare.from_signing_share(
            identifier=identifier,
            signing_share=evaluate(coefficients, identifier),
            group_public_key=package.group_public_key,
            min_signers=min_signers,
            max_signers=max_signers,
        )
        for identifier in identifiers
    )
    return package, shares


def make_council(
    n: int = 3,
    min_grants: int = 2,
    veto_holders: Iterable[str] = (),
    rng: Rng | None = None,
    **changes: Any,
) -> Council:
    """Return a founded treaty of ``n`` parties.

    Args:
        n: how many parties; they are called ``p1`` ... ``pn``.
        min_grants: the quorum and the FROST threshold.
        veto_holders: ids of the parties with a veto.
        rng: where all keys come from.
        **changes: treaty fields to replace before it is signed.
    """
    draw = rng or SeededRng(b"council")
    party_keys: dict[str, SigningKey] = {f"p{i}": generate_ed25519(draw) for i in range(1, n + 1)}
    operator_keys: dict[str, SigningKey] = {"op1": generate_ed25519(draw), "op2": generate_ecdsa(draw)}
    endorser_root, log_key = generate_ecdsa(draw, Algorithm.ES384), generate_ed25519(draw)
    group, shares = deal_group(n, min_grants, draw)
    fields: dict[str, Any] = {
        "name": "Test Treaty",
        "epoch": 1,
        "parties": tuple(Party(party_id=name, key=key.public_key) for name, key in party_keys.items()),
        "quorum": Threshold(
            min_grants=min_grants,
            electorate=tuple(party_keys),
            veto_holders=tuple(veto_holders),
            minority=min_grants <= n // 2,
        ),
        "group": group,
        "bands": BANDS,
        "window_ms": 24 * MS_PER_HOUR,
        "signing_ms": 60_000,
        "report_interval_ms": MS_PER_HOUR,
        "report_grace_ms": MS_PER_HOUR // 2,
        "operators": (
            Operator(operator_id="op1", key=operator_keys["op1"].public_key),
            Operator(operator_id="op2", key=operator_keys["op2"].public_key, party_id="p1"),
        ),
        "endorsers": (
            Endorser(endorser_id="maker", root_key=endorser_root.public_key, attester_kind=SIMULATED),
        ),
        "log_origin": "log.example/treaty",
        "log_key": log_key.public_key,
    }
    witness_keys = {name: generate_ed25519(SeededRng(f"witness {name}".encode())) for name in party_keys}
    fields |= {
        "witnesses": tuple(
            Witness(name=f"log.example/treaty/witness/{name}", key=key.public_key, party_id=name)
            for name, key in witness_keys.items()
        ),
        "max_colluding": (n - 1) // 3,
        "witness_quorum": compute_smallest_quorum(n, (n - 1) // 3),
    }
    treaty = Treaty(**(fields | changes))
    return Council(
        treaty=open_treaty(sign_jointly(treaty, tuple(party_keys.values()))),
        party_keys=party_keys,
        key_shares=dict(zip(party_keys, shares, strict=True)),
        operator_keys=operator_keys,
        endorser_root=endorser_root,
        log_key=log_key,
        device_keys=tuple(generate_ed25519(draw) for _ in range(4)),
        witness_keys=witness_keys,
        rng=draw,
    )
