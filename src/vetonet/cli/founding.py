"""A whole founding on one machine: the group's key, everybody's keys and certificates, the signed treaty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from vetonet.attestation.platform import ATTESTER_KINDS, SIMULATED
from vetonet.compliance.trust_root import TrustRoot
from vetonet.crypto.keys import (
    EcdsaSigningKey,
    Ed25519SigningKey,
    PublicKey,
    SigningKey,
    generate_ecdsa,
    generate_ed25519,
)
from vetonet.crypto.statement import Signed, sign_jointly
from vetonet.errors import ConfigError
from vetonet.party.founding import found_groups
from vetonet.party.keys import PartySecrets
from vetonet.policy.plan import TreatyPlan
from vetonet.policy.treaty import (
    ActionRule,
    Endorser,
    Operator,
    Party,
    Terms,
    Treaty,
    list_leaves,
    open_treaty,
)
from vetonet.policy.witnessing import Witness
from vetonet.units import Milliseconds, Rng
from vetonet.wire.identity import Role
from vetonet.wire.pki import Authority, Credential, generate_authority

ATTESTER_KIND: Final = SIMULATED
"""What a treaty says of a maker's chips unless its plan names another kind."""

COORDINATOR_ID: Final = "coordinator"
FIRST_EPOCH: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKeys:
    """What a treaty says of everybody's keys, by id where there are several."""

    parties: Mapping[str, PublicKey]
    operators: Mapping[str, PublicKey]
    makers: Mapping[str, PublicKey]
    witnesses: Mapping[str, PublicKey]
    log: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Everybody's own signing keys, by id where there are several."""

    parties: Mapping[str, Ed25519SigningKey]
    operators: Mapping[str, Ed25519SigningKey]
    makers: Mapping[str, EcdsaSigningKey]
    witnesses: Mapping[str, Ed25519SigningKey]
    log: Ed25519SigningKey

    @property
    def public(self) -> PublicKeys:
        """The public halves."""
        return PublicKeys(
            parties=list_public(self.parties),
            operators=list_public(self.operators),
            makers=list_public(self.makers),
            witnesses=list_public(self.witnesses),
            log=self.log.public_key,
        )


def list_public(keys: Mapping[str, SigningKey]) -> dict[str, PublicKey]:
    """Return the public halves of keys, by the same names."""
    return {name: key.public_key for name, key in keys.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Founded:
    """A founded treaty and every secret behind it; on one machine, so for trials only.

    Attributes:
        treaty: signed by all parties.
        parties: each party's secrets.
        operators: each operator's statement key.
        makers: each chip maker's root key.
        witnesses: what each party's witness cosigns with, by party id.
        log_key: what the coordinator signs checkpoints with.
        authority: what issued the certificates.
        credentials: certificates for mutual TLS, by role and id.
    """

    treaty: Signed[Treaty]
    parties: Mapping[str, PartySecrets] = field(repr=False)
    operators: Mapping[str, Ed25519SigningKey] = field(repr=False)
    makers: Mapping[str, EcdsaSigningKey] = field(repr=False)
    witnesses: Mapping[str, Ed25519SigningKey] = field(repr=False)
    log_key: Ed25519SigningKey = field(repr=False)
    authority: Authority = field(repr=False)
    credentials: Mapping[tuple[Role, str], Credential] = field(repr=False)

    @property
    def trust_root(self) -> TrustRoot:
        """What a verifier needs to trust, and nothing else."""
        return TrustRoot(treaty_digest=self.treaty.payload_digest, treaty_name=self.treaty.statement.name)


def found_treaty(plan: TreatyPlan, rng_for: Callable[[str], Rng], now: Milliseconds) -> Founded:
    """Return the treaty of a plan, signed by all its parties, with all keys behind it.

    Args:
        plan: what the treaty is to say.
        rng_for: the randomness of one participant; certificates alone take the system's.
        now: when the certificates begin to hold.

    Raises:
        ConfigError: no treaty can say that: too high a quorum, a strange veto holder, bands in disorder.
        ProtocolError, VerificationError: the key generation failed.
    """
    keys = _generate_keys(plan, rng_for)
    origin = f"vetonet.invalid/{rng_for('origin')(8).hex()}"
    leaves = list_leaves(quorum for _, quorum in plan.actions)
    groups, shares = found_groups(leaves, origin.encode(), lambda name: rng_for(f"group {name}"))
    treaty = write_terms(plan, keys.public, origin).to_treaty(groups)
    signed = open_treaty(sign_jointly(treaty, tuple(keys.parties.values())))
    authority = generate_authority(f"treaty-{signed.payload_digest.hex()[:16]}", now=now)
    return Founded(
        treaty=signed,
        parties={
            name: PartySecrets(party_id=name, statement_key=key, key_shares=shares.get(name, ()))
            for name, key in keys.parties.items()
        },
        operators=keys.operators,
        makers=keys.makers,
        witnesses=keys.witnesses,
        log_key=keys.log,
        authority=authority,
        credentials=_issue_credentials(plan, authority, now),
    )


def _generate_keys(plan: TreatyPlan, rng_for: Callable[[str], Rng]) -> Keys:
    return Keys(
        parties={name: generate_ed25519(rng_for(f"party {name}")) for name in plan.party_ids},
        operators={name: generate_ed25519(rng_for(f"operator {name}")) for name, _ in plan.operators},
        makers={name: generate_ecdsa(rng_for(f"maker {name}")) for name in plan.maker_ids},
        witnesses={name: generate_ed25519(rng_for(f"witness {name}")) for name in plan.party_ids},
        log=generate_ed25519(rng_for("log")),
    )


def write_terms(plan: TreatyPlan, keys: PublicKeys, origin: str) -> Terms:
    """Return the charter of a plan.

    Args:
        plan: what the treaty is to say.
        keys: of everybody that it names.
        origin: the name of its log.

    Raises:
        ConfigError: no treaty can say that.
    """
    for maker, kind in plan.attester_kinds:
        if kind not in ATTESTER_KINDS:
            known = ", ".join(ATTESTER_KINDS)
            raise ConfigError(f"expected a kind of attester among {known} for {maker}, got {kind!r}")
    try:
        return Terms(
            name=plan.name,
            epoch=FIRST_EPOCH,
            parties=tuple(Party(party_id=name, key=key) for name, key in keys.parties.items()),
            actions=tuple(ActionRule(action=action, quorum=quorum) for action, quorum in plan.actions),
            bands=plan.bands,
            window_ms=plan.window_ms,
            signing_ms=plan.signing_ms,
            report_interval_ms=plan.report_interval_ms,
            report_grace_ms=plan.report_grace_ms,
            operators=tuple(_list_operators(plan, keys)),
            endorsers=tuple(
                Endorser(endorser_id=name, root_key=key, attester_kind=plan.find_kind(name) or ATTESTER_KIND)
                for name, key in keys.makers.items()
            ),
            log_origin=origin,
            log_key=keys.log,
            witnesses=tuple(
                Witness(name=name_witness(origin, name), key=key, party_id=name)
                for name, key in keys.witnesses.items()
            ),
            witness_quorum=plan.witnessing[0],
            max_colluding=plan.witnessing[1],
            lease_ms=plan.lease_ms,
            suspension_ms=plan.suspension_ms,
            refresh_ms=plan.refresh_ms,
            totals=plan.totals,
        )
    except ValueError as error:
        msg = f"no treaty can say that: {error}"
        raise ConfigError(msg) from error


def _list_operators(plan: TreatyPlan, keys: PublicKeys) -> Iterator[Operator]:
    for name, party in plan.operators:
        owner = plan.find_owner(name)
        yield Operator(operator_id=name, key=keys.operators[name], party_id=party, beneficial_owner=owner)


def name_witness(origin: str, party_id: str) -> str:
    """Return the name of a party's witness: the origin of the log, and the party."""
    return f"{origin}/witness/{party_id}"


def _issue_credentials(
    plan: TreatyPlan, authority: Authority, now: Milliseconds
) -> Mapping[tuple[Role, str], Credential]:
    named = [(Role.COORDINATOR, COORDINATOR_ID)]
    named += [(Role.PARTY, name) for name in plan.party_ids]
    named += [(Role.OPERATOR, name) for name, _ in plan.operators]
    return {(role, name): authority.issue(role, name, now=now) for role, name in named}
