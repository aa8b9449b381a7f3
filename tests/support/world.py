"""A small treaty with every key in hand, for all suites: who the parties are, and what they can sign.

Everything follows from the randomness given, so the same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from vetonet.attestation.platform import SIMULATED
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
    Statement,
    attach_signatures,
    compute_signing_input,
    sign,
    sign_jointly,
)
from vetonet.party.keys import SeatShare
from vetonet.policy.action import ActionClass
from vetonet.policy.ballot import Ballot, VetoReason, open_ballot
from vetonet.policy.band import Band, BandRule
from vetonet.policy.licence import Licence, derive_licence, open_licence
from vetonet.policy.motion import Motion, open_motion
from vetonet.policy.proposal import Proposal, open_proposal
from vetonet.policy.quorum import Choice, Quorum
from vetonet.policy.treaty import (
    ActionRule,
    Endorser,
    Group,
    Operator,
    Party,
    Treaty,
    list_leaves,
    open_treaty,
)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Council:
    """A founded treaty and every secret behind it.

    Attributes:
        treaty: signed by all parties.
        party_keys: statement keys by party id; ``p1`` ... ``pn``, in the order of the roster.
        key_shares: each party's FROST key shares, one for each of its seats.
        operator_keys: by operator id; ``op1`` belongs to no party, ``op2`` to ``p1``.
        endorser_root: the chip maker's P-384 root key (endorser ``maker``, attester kind ``SIMULATED``).
        log_key: what checkpoints are signed with.
        device_keys: of four chips; the default proposal is for all of them.
        witness_keys: what each party's witness cosigns with, by party id.
        rng: what further randomness is drawn from.
    """

    treaty: Signed[Treaty]
    party_keys: Mapping[str, SigningKey]
    key_shares: Mapping[str, tuple[SeatShare, ...]]
    operator_keys: Mapping[str, SigningKey]
    endorser_root: EcdsaSigningKey
    log_key: Ed25519SigningKey
    device_keys: tuple[Ed25519SigningKey, ...]
    witness_keys: Mapping[str, Ed25519SigningKey]
    rng: Rng

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
            "lease_flop": min(10**24, changes.get("per_device_flop", 10**24)),
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

    def move(self, mover: str, action: ActionClass, **changes: Any) -> Signed[Motion]:
        """Return a party's signed motion, opened as a reader would."""
        fields: dict[str, Any] = {
            "treaty_digest": self.treaty.payload_digest,
            "epoch": self.treaty.statement.epoch,
            "mover": mover,
            "action": action,
            "subject_digest": bytes(32),
            "opens_ms": NOW_MS,
            "closes_ms": NOW_MS + MS_PER_HOUR,
            "ends_ms": NOW_MS + 24 * MS_PER_HOUR,
            "serial": self.rng(16),
        }
        return open_motion(sign(Motion(**(fields | changes)), self.party_keys[mover]), self.treaty)

    def cast(self, proposal: Signed[Proposal] | Signed[Motion], choice: Choice, **changes: Any) -> Ballot:
        """Return a valid ballot with some fields changed."""
        fields: dict[str, Any] = {
            "treaty_digest": self.treaty.payload_digest,
            "epoch": self.treaty.statement.epoch,
            "proposal_digest": proposal.payload_digest,
            "choice": choice,
            "cast_ms": proposal.statement.opens_ms,
            "expires_ms": proposal.statement.ends_ms,
            "reason": VetoReason.SCALE if choice is Choice.VETO else None,
        }
        return Ballot(**(fields | changes))

    def sign_ballot(
        self,
        party_id: str,
        proposal: Signed[Proposal] | Signed[Motion],
        choice: Choice = Choice.GRANT,
        **changes: Any,
    ) -> Signed[Ballot]:
        """Return a party's signed ballot, opened as a reader would."""
        ballot = self.cast(proposal, choice, **changes)
        return open_ballot(sign(ballot, self.party_keys[party_id]), self.treaty)

    @property
    def group(self) -> Group:
        """The group that grants runs, where it is the only one."""
        (group,) = self.treaty.statement.list_groups(ActionClass.RUN_GRANT)
        return group

    def sign_by(
        self,
        statement: Statement,
        signers: Iterable[str],
        action: ActionClass = ActionClass.RUN_GRANT,
        groups: Iterable[int] | None = None,
    ) -> bytes:
        """Return a statement signed by these parties' seats, for all groups they can, or for these."""
        willing = tuple(signers)
        chosen = self.treaty.statement.list_groups(action)
        wanted = [group for group in chosen if groups is None or group.index in set(groups)]
        able = [
            group for group in wanted if group.leaf.count_seats(frozenset(willing)) >= group.leaf.min_grants
        ]
        return attach_signatures(
            statement, {group.key: self._sign_for(statement, group, willing) for group in able}
        )

    def _sign_for(self, statement: Statement, group: Group, signers: tuple[str, ...]) -> bytes:
        message = compute_signing_input(statement, group.key)
        held = [
            entry.share for name in signers for entry in self.key_shares[name] if entry.group == group.index
        ]
        shares = sorted(held, key=lambda share: share.identifier)[: group.leaf.min_grants]
        pairs = [frost.commit(share, self.rng) for share in shares]
        package = frost.SigningPackage(message=message, commitments=tuple(c for _, c in pairs))
        signed = [
            frost.sign(package, nonces, share) for share, (nonces, _) in zip(shares, pairs, strict=True)
        ]
        return frost.aggregate(package, signed, group.package)

    def sign_licence(
        self,
        proposal: Signed[Proposal],
        ballots: Mapping[str, Signed[Ballot]],
        *,
        proposal_leaf_index: int = 1,
        ballot_leaf_indices: Sequence[int] | None = None,
        **changes: Any,
    ) -> Signed[Licence]:
        """Return the licence of a granted proposal, signed by the given grants (by party id)."""
        first = proposal_leaf_index + 1
        indices = ballot_leaf_indices or range(first, first + len(ballots))
        licence = replace(derive_licence(self.treaty, proposal, proposal_leaf_index, indices), **changes)
        return open_licence(self.sign_by(licence, ballots), self.treaty)


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


def deal_groups(
    actions: Sequence[ActionRule], rng: Rng
) -> tuple[tuple[frost.PublicKeyPackage, ...], dict[str, tuple[SeatShare, ...]]]:
    """Return a dealt group for each threshold, and each party's key shares: quicker than key generation."""
    packages: list[frost.PublicKeyPackage] = []
    held: dict[str, tuple[SeatShare, ...]] = {}
    for index, leaf in enumerate(list_leaves(rule.quorum for rule in actions)):
        package, shares = deal_group(leaf.seat_count, leaf.min_grants, rng)
        packages.append(package)
        for party_id, share in zip(leaf.seats, shares, strict=True):
            held[party_id] = (*held.get(party_id, ()), SeatShare(group=index, share=share))
    return tuple(packages), held


def make_council(
    n: int = 3,
    min_grants: int = 2,
    veto_holders: Iterable[str] = (),
    rng: Rng | None = None,
    quorums: Mapping[ActionClass, Quorum] | None = None,
    **changes: Any,
) -> Council:
    """Return a founded treaty of ``n`` parties.

    Args:
        n: how many parties; they are called ``p1`` ... ``pn``.
        min_grants: the quorum and the FROST threshold.
        veto_holders: ids of the parties with a veto.
        rng: where all keys come from.
        quorums: of classes of action besides, or instead of, that quorum for runs and leases.
        **changes: treaty fields to replace before it is signed.
    """
    draw = rng or SeededRng(b"council")
    party_keys: dict[str, SigningKey] = {f"p{i}": generate_ed25519(draw) for i in range(1, n + 1)}
    operator_keys: dict[str, SigningKey] = {"op1": generate_ed25519(draw), "op2": generate_ecdsa(draw)}
    endorser_root, log_key = generate_ecdsa(draw, Algorithm.ES384), generate_ed25519(draw)
    plain = Quorum.of_threshold(
        min_grants, tuple(party_keys), tuple(veto_holders), minority=min_grants <= n // 2
    )
    chosen = {ActionClass.RUN_GRANT: plain, ActionClass.LEASE_RENEWAL: plain} | dict(quorums or {})
    actions = tuple(ActionRule(action=a, quorum=chosen[a]) for a in ActionClass if a in chosen)
    groups, shares = deal_groups(changes.get("actions", actions), draw)
    fields: dict[str, Any] = {
        "name": "Test Treaty",
        "epoch": 1,
        "parties": tuple(Party(party_id=name, key=key.public_key) for name, key in party_keys.items()),
        "actions": actions,
        "groups": groups,
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
        "lease_ms": 24 * MS_PER_HOUR,
        "suspension_ms": 24 * MS_PER_HOUR if ActionClass.EMERGENCY_SUSPENSION in chosen else 0,
        "refresh_ms": 0,
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
        key_shares={name: shares.get(name, ()) for name in party_keys},
        operator_keys=operator_keys,
        endorser_root=endorser_root,
        log_key=log_key,
        device_keys=tuple(generate_ed25519(draw) for _ in range(4)),
        witness_keys=witness_keys,
        rng=draw,
    )
