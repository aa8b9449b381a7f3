"""What a convener makes of a plan and the parties' cards: the charter, and all that is not the parties'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vetonet.cli.directory import (
    AUTHORITY_FILE,
    CERTIFICATE_FILE,
    LOG_KEY_FILE,
    ROOT_KEY_FILE,
    STATEMENT_KEY_FILE,
    TLS_KEY_FILE,
    folder_of,
    make_private,
    write_credential,
)
from vetonet.cli.exits import Exit, Failure
from vetonet.cli.files import make_folder, read_input, require_empty, write_output, write_secret
from vetonet.cli.founding import COORDINATOR_ID, PublicKeys, list_public, write_terms
from vetonet.crypto.keys import EcdsaSigningKey, Ed25519SigningKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.statement import compute_digest
from vetonet.errors import ConfigError, EncodingError
from vetonet.party.card import Card
from vetonet.party.keys import save_signing_key
from vetonet.policy.plan import TreatyPlan
from vetonet.policy.treaty import Terms
from vetonet.units import Milliseconds, Rng
from vetonet.wire.identity import Role
from vetonet.wire.pki import Authority, Credential, generate_authority

CHARTER_FILE: Final = "charter.cbor"

_MAJOR_SHIFT: Final = 5
_MAP: Final = 5
"""Major type of a map (RFC 8949 section 3.1)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draft:
    """A charter, and every secret of those that are no parties.

    Attributes:
        terms: the charter.
        operators: each operator's statement key.
        makers: each chip maker's root key.
        log_key: what the coordinator signs checkpoints with.
        authority: what issued the certificates.
        credentials: of coordinator and operators, by role and id.
        certificates: of each party's own TLS key, PEM, by party id.
    """

    terms: Terms
    operators: Mapping[str, Ed25519SigningKey] = field(repr=False)
    makers: Mapping[str, EcdsaSigningKey] = field(repr=False)
    log_key: Ed25519SigningKey = field(repr=False)
    authority: Authority = field(repr=False)
    credentials: Mapping[tuple[Role, str], Credential] = field(repr=False)
    certificates: Mapping[str, bytes] = field(repr=False)


def draft_treaty(plan: TreatyPlan, cards: Sequence[Card], rng: Rng, now: Milliseconds) -> Draft:
    """Return the charter of a plan whose parties handed out these cards.

    Args:
        plan: what the treaty is to say.
        cards: one of each party of the plan.
        rng: for keys; certificates take the system's.
        now: when the certificates begin to hold.

    Raises:
        ConfigError: a card is missing, twice or a stranger's, or no treaty can say that.
    """
    _require_cards(plan, [card.party_id for card in cards])
    by_party = {name: next(c for c in cards if c.party_id == name) for name in plan.party_ids}
    operators = {name: generate_ed25519(rng) for name, _ in plan.operators}
    makers = {name: generate_ecdsa(rng) for name in plan.maker_ids}
    log_key = generate_ed25519(rng)
    keys = PublicKeys(
        parties={name: card.statement_key for name, card in by_party.items()},
        operators=list_public(operators),
        makers=list_public(makers),
        witnesses={name: card.witness_key for name, card in by_party.items()},
        log=log_key.public_key,
    )
    terms = write_terms(plan, keys, f"vetonet.invalid/{rng(8).hex()}")
    authority = generate_authority(f"treaty-{compute_digest(terms).hex()[:16]}", now=now)
    named = [(Role.COORDINATOR, COORDINATOR_ID), *((Role.OPERATOR, name) for name in operators)]
    return Draft(
        terms=terms,
        operators=operators,
        makers=makers,
        log_key=log_key,
        authority=authority,
        credentials={(role, name): authority.issue(role, name, now=now) for role, name in named},
        certificates={
            name: authority.certify(card.request_pem, Role.PARTY, name, now=now)
            for name, card in by_party.items()
        },
    )


def _require_cards(plan: TreatyPlan, named: Sequence[str]) -> None:
    for name in plan.party_ids:
        if named.count(name) != 1:
            raise ConfigError(f"--card: expected one card of {name}, got {named.count(name)}")
    for name in named:
        if name not in plan.party_ids:
            raise ConfigError(f"--card: the plan has no party {name}; it has {', '.join(plan.party_ids)}")


def write_draft(root: Path, draft: Draft) -> None:
    """The folder holds what the convener hands out and what it keeps, as a treaty directory has it.

    Raises:
        Failure: the folder is in use, or cannot be written.
        ConfigError: a secret cannot be written.
    """
    require_empty(root)
    make_folder(root)
    for (role, name), credential in draft.credentials.items():
        write_credential(folder_of(root, role, name), credential)
    authority = make_private(root / "authority")
    write_output(authority / AUTHORITY_FILE, draft.authority.certificate_pem)
    write_secret(authority / TLS_KEY_FILE, draft.authority.key_pem)
    save_signing_key(folder_of(root, Role.COORDINATOR, COORDINATOR_ID) / LOG_KEY_FILE, draft.log_key)
    for name, key in draft.operators.items():
        save_signing_key(folder_of(root, Role.OPERATOR, name) / STATEMENT_KEY_FILE, key)
    for name, root_key in draft.makers.items():
        save_signing_key(make_private(root / "makers" / name) / ROOT_KEY_FILE, root_key)
    charter = draft.terms.to_bytes()
    for name, certificate in draft.certificates.items():
        folder = folder_of(root, Role.PARTY, name)
        make_folder(folder)
        write_output(folder / CERTIFICATE_FILE, certificate)
        write_output(folder / AUTHORITY_FILE, draft.authority.certificate_pem)
        write_output(folder / CHARTER_FILE, charter)
    write_output(root / CHARTER_FILE, charter)


def is_charter(path: Path) -> bool:
    """Whether a file holds no signed statement, as a treaty is, but a bare CBOR map, as a charter is.

    Raises:
        Failure: it cannot be read.
    """
    first = read_input(path, "a treaty", maximum=Terms.MAX_BYTES)[:1]
    return bool(first) and first[0] >> _MAJOR_SHIFT == _MAP


def read_charter(path: Path) -> Terms:
    """Return the charter in a file; whether it is the right one, its digest must say.

    Raises:
        Failure: unreadable, or not a charter.
    """
    data = read_input(path, "a charter", maximum=Terms.MAX_BYTES)
    try:
        return Terms.from_bytes(data)
    except EncodingError as error:
        message = f"{path}: expected a charter as `vetonet treaty draft` writes it: {error}"
        raise Failure(message, code=Exit.INVALID, reason=error.reason) from error
