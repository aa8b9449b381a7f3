"""A home before there is a treaty: attempts are used once, shares are there before a signature is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support.charters import hold_ceremonies, make_charter
from support.world import make_council
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import Signed, sign_jointly
from vetonet.errors import ConfigError, UnknownPartyError, VetonetError
from vetonet.party.card import Card
from vetonet.party.founding_home import (
    PENDING_RECORD,
    Applicant,
    HomeMemory,
    create_applicant,
    open_applicant,
    recover,
    settle,
    verify_applicant,
)
from vetonet.party.founding_ports import Derived
from vetonet.party.home import CARD_FILE, STATEMENT_KEY, WITNESS_KEY, open_home
from vetonet.party.home_settings import HomeSettings
from vetonet.party.keys import encode_signing_key
from vetonet.party.keystore import KeyFile
from vetonet.policy.founding import Position, plan_ceremonies
from vetonet.policy.treaty import Terms, Treaty, open_treaty
from vetonet.voting.founding import read_group
from vetonet.wire.pki import Authority, Role, generate_authority

NOW_MS = 1_800_000_000_000
CHARTER = make_charter()
FIRST = Position(charter=bytes(32), attempt=1)
AUTHORITY: Authority = generate_authority("treaty-test", now=NOW_MS)


def make_applicant(root: Path, *, certified: str = "p5", role: Role = Role.PARTY) -> Applicant:
    """Return the party p5, which has no seat, with keys of its own."""
    home, unlock = root / "home", KeyFile.create(root / "key", SeededRng(b"key"))
    card = create_applicant(home, "p5", unlock, SeededRng(b"p5"))
    invitation = root / "invitation"
    invitation.mkdir()
    certificate = AUTHORITY.certify(card.request_pem, role, certified, now=NOW_MS)
    (invitation / "tls-certificate.pem").write_bytes(certificate)
    (invitation / "tls-authority.pem").write_bytes(AUTHORITY.certificate_pem)
    return open_applicant(home, invitation, unlock, SeededRng(b"open"))


def name_keys(applicant: Applicant) -> Terms:
    """Return the charter with this applicant's keys for p5."""
    parties, witnesses = CHARTER.terms.parties, CHARTER.terms.witnesses
    return replace(
        CHARTER.terms,
        parties=(*parties[:4], replace(parties[4], key=applicant.statement_key.public_key)),
        witnesses=(*witnesses[:4], replace(witnesses[4], key=applicant.witness_key.public_key)),
    )


def derive() -> Derived:
    """Return what p5 has of the founding by the charter's own keys."""
    kept = hold_ceremonies()
    plans = plan_ceremonies(CHARTER.terms, 1)
    packages = [read_group(p, t.statements) for p, t in zip(plans, kept.transcripts, strict=True)]
    return Derived(treaty=CHARTER.terms.to_treaty(packages), key_shares=(), record=kept)


def adopt_keys(applicant: Applicant) -> Applicant:
    """Return p5 with the keys that the charter names, in its key store, too."""
    witness = make_council(5, 3).witness_keys["p5"]
    applicant.store.put(STATEMENT_KEY, encode_signing_key(CHARTER.keys["p5"]), replace=True)
    applicant.store.put(WITNESS_KEY, encode_signing_key(witness), replace=True)
    return replace(applicant, statement_key=CHARTER.keys["p5"], witness_key=witness)


def sign_all(treaty: Treaty) -> Signed[Treaty]:
    return open_treaty(sign_jointly(treaty, tuple(CHARTER.keys.values())))


SETTINGS = HomeSettings(
    party_id="p5", trust_domain="treaty-test", coordinator="127.0.0.1:7443", listen="127.0.0.1:7450"
)


def test_the_card_has_the_public_halves_of_the_keys_in_the_home(tmp_path: Path) -> None:
    applicant = make_applicant(tmp_path)
    card = Card.from_text((applicant.root / CARD_FILE).read_text())
    assert card.statement_key == applicant.statement_key.public_key
    assert card.witness_key == applicant.witness_key.public_key
    verify_applicant(applicant, name_keys(applicant))


def test_a_folder_in_use_becomes_no_home(tmp_path: Path) -> None:
    (tmp_path / "anything").touch()
    with pytest.raises(ConfigError, match="new or empty"):
        create_applicant(tmp_path, "p5", KeyFile.create(tmp_path / "key", SeededRng(b"k")), SeededRng(b"x"))


def test_a_charter_with_another_key_for_this_party_is_refused(tmp_path: Path) -> None:
    applicant = make_applicant(tmp_path)
    with pytest.raises(ConfigError, match="statement key"):
        verify_applicant(applicant, CHARTER.terms)
    terms = name_keys(applicant)
    with pytest.raises(ConfigError, match="witness key"):
        verify_applicant(applicant, replace(terms, witnesses=CHARTER.terms.witnesses))


def test_a_charter_without_this_party_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownPartyError):
        verify_applicant(make_applicant(tmp_path, certified="p9"), CHARTER.terms)


def test_a_certificate_of_an_operator_makes_no_party(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="that of a party"):
        make_applicant(tmp_path, role=Role.OPERATOR)


def test_an_attempt_is_begun_once(tmp_path: Path) -> None:
    # VN-15.1
    memory = HomeMemory(make_applicant(tmp_path))
    memory.require_unused(FIRST)
    memory.begin(FIRST)
    with pytest.raises(ConfigError, match="--attempt 2"):
        memory.begin(FIRST)
    memory.begin(replace(FIRST, attempt=2))
    memory.begin(replace(FIRST, charter=bytes([1]) * 32))


def test_a_founding_makes_a_home_that_opens(tmp_path: Path) -> None:
    applicant, derived = adopt_keys(make_applicant(tmp_path)), derive()
    HomeMemory(applicant).keep(derived)
    settle(applicant, sign_all(derived.treaty), derived, SETTINGS)
    home = open_home(applicant.root, KeyFile.read(tmp_path / "key"), SeededRng(b"x"))
    assert home.treaty.statement == derived.treaty
    assert not (applicant.root / PENDING_RECORD.format(attempt=1)).exists()


def test_what_was_kept_makes_the_home_after_a_crash(tmp_path: Path) -> None:
    applicant, derived = adopt_keys(make_applicant(tmp_path)), derive()
    HomeMemory(applicant).keep(derived)
    found = recover(applicant, derived.treaty, 1)
    assert found.record == derived.record
    settle(applicant, sign_all(derived.treaty), found, SETTINGS)
    assert open_home(applicant.root, KeyFile.read(tmp_path / "key"), SeededRng(b"x")).settings == SETTINGS


def test_an_attempt_of_which_nothing_was_kept_is_not_recovered(tmp_path: Path) -> None:
    applicant, derived = adopt_keys(make_applicant(tmp_path)), derive()
    with pytest.raises(ConfigError):
        recover(applicant, derived.treaty, 1)
    HomeMemory(applicant).keep(derived)
    with pytest.raises(ConfigError):
        recover(applicant, derived.treaty, 2)


def test_another_treaty_than_that_of_the_attempt_is_not_recovered(tmp_path: Path) -> None:
    applicant, derived = adopt_keys(make_applicant(tmp_path)), derive()
    HomeMemory(applicant).keep(derived)
    with pytest.raises(VetonetError):
        recover(applicant, replace(derived.treaty, name="Another Treaty"), 1)
