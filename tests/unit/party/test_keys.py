"""A party's secrets on disk: only their owner's, or refused."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from support.world import Council, make_council
from vetonet.crypto.keys import EcdsaSigningKey, Ed25519SigningKey, generate_ecdsa
from vetonet.crypto.rng import SeededRng
from vetonet.errors import ConfigError, UnknownPartyError
from vetonet.party.keys import (
    KEY_SHARE_FILE,
    PARTY_ID_FILE,
    STATEMENT_KEY_FILE,
    PartySecrets,
    load_signing_key,
    save_signing_key,
    verify_secrets,
)
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import AllOf, Threshold
from vetonet.policy.quorum import Quorum
from vetonet.policy.succession import verify_succession
from vetonet.policy.treaty import Treaty

SHARE_FILE = KEY_SHARE_FILE.format(group=0, participant=1)
FILES = (SHARE_FILE, PARTY_ID_FILE, STATEMENT_KEY_FILE)


@pytest.fixture(scope="module")
def council() -> Council:
    return make_council()


@pytest.fixture
def secrets(council: Council) -> PartySecrets:
    return secrets_of(council, "p1")


def secrets_of(
    council: Council, party_id: str, key: str | None = None, share: str | None = None
) -> PartySecrets:
    return PartySecrets(
        party_id=party_id,
        statement_key=council.party_keys[key or party_id],
        key_shares=council.key_shares[share or party_id],
    )


def test_saved_secrets_come_back(secrets: PartySecrets, tmp_path: Path) -> None:
    secrets.save(tmp_path / "keys")
    loaded = PartySecrets.load(tmp_path / "keys")
    assert loaded.party_id == "p1"
    assert [held.seat for held in loaded.key_shares] == [(0, 1)]
    assert [held.share for held in loaded.key_shares] == [held.share for held in secrets.key_shares]
    assert loaded.statement_key.public_key == secrets.statement_key.public_key


def test_only_the_owner_may_open_what_is_saved(secrets: PartySecrets, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        secrets.save(tmp_path / "keys")
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert modes == dict.fromkeys(FILES, 0o600)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


@pytest.mark.leaks_on_purpose  # its files are made readable, to see that they are refused
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_secret_that_others_may_open_is_refused(
    secrets: PartySecrets, tmp_path: Path, name: str, mode: int
) -> None:
    secrets.save(tmp_path)
    (tmp_path / name).chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        PartySecrets.load(tmp_path)


@pytest.mark.parametrize("name", [PARTY_ID_FILE, STATEMENT_KEY_FILE])
def test_a_missing_secret_is_refused(secrets: PartySecrets, tmp_path: Path, name: str) -> None:
    secrets.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match=name):
        PartySecrets.load(tmp_path)


def test_a_missing_share_is_refused_where_the_treaty_has_a_seat_for_it(
    council: Council, secrets: PartySecrets, tmp_path: Path
) -> None:
    """How many there should be, only the treaty says."""
    secrets.save(tmp_path)
    (tmp_path / SHARE_FILE).unlink()
    with pytest.raises(ConfigError, match="holds no key share"):
        verify_secrets(PartySecrets.load(tmp_path), council.treaty)


@pytest.mark.parametrize("name", [SHARE_FILE, STATEMENT_KEY_FILE])
def test_a_malformed_secret_is_refused_without_quoting_it(
    secrets: PartySecrets, tmp_path: Path, name: str
) -> None:
    secrets.save(tmp_path)
    content = (tmp_path / name).read_text()
    body = content.splitlines()[1]
    for wrong in ("", content[:-2], content.replace(body, "A" * len(body)), "\xff" * 10):
        (tmp_path / name).write_text(wrong, encoding="latin-1")
        with pytest.raises(ConfigError) as caught:
            PartySecrets.load(tmp_path)
        assert body[:12] not in str(caught.value)
        assert caught.value.__cause__ is None


def test_an_oversize_secret_is_refused(secrets: PartySecrets, tmp_path: Path) -> None:
    secrets.save(tmp_path)
    (tmp_path / SHARE_FILE).write_bytes(b"A" * 5000)
    with pytest.raises(ConfigError, match="at most"):
        PartySecrets.load(tmp_path)


def test_a_link_is_not_followed(secrets: PartySecrets, tmp_path: Path) -> None:
    secrets.save(tmp_path)
    (tmp_path / SHARE_FILE).rename(tmp_path / "elsewhere")
    (tmp_path / SHARE_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError):
        PartySecrets.load(tmp_path)


def test_secrets_are_never_overwritten(secrets: PartySecrets, tmp_path: Path) -> None:
    secrets.save(tmp_path)
    before = (tmp_path / STATEMENT_KEY_FILE).read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        secrets.save(tmp_path)
    assert (tmp_path / STATEMENT_KEY_FILE).read_bytes() == before


def test_secrets_show_nothing(secrets: PartySecrets) -> None:
    assert isinstance(secrets.statement_key, Ed25519SigningKey)
    shown = repr(secrets)
    assert secrets.statement_key.seed.hex() not in shown
    (held,) = secrets.key_shares
    assert str(held.share.signing_share) not in shown + repr(held)
    assert repr(held) == "SeatShare(group=0)"
    assert shown == "PartySecrets(party_id='p1')"


def test_an_ecdsa_key_comes_back(tmp_path: Path, rng: SeededRng) -> None:
    key = generate_ecdsa(rng)
    save_signing_key(tmp_path / "operator.pem", key)
    loaded = load_signing_key(tmp_path / "operator.pem")
    assert isinstance(loaded, EcdsaSigningKey)
    assert loaded.public_key == key.public_key


def test_the_secrets_of_a_party_fit_its_treaty(council: Council) -> None:
    for party_id in council.party_ids:
        verify_secrets(secrets_of(council, party_id), council.treaty)


@pytest.mark.parametrize(("key", "share"), [("p2", "p1"), ("p1", "p2")])
def test_another_partys_secrets_are_refused(council: Council, key: str, share: str) -> None:
    with pytest.raises(ConfigError):
        verify_secrets(secrets_of(council, "p1", key, share), council.treaty)


def test_a_share_of_another_group_is_refused(council: Council) -> None:
    other = make_council(rng=SeededRng(b"other"))
    mixed = PartySecrets(
        party_id="p1", statement_key=council.party_keys["p1"], key_shares=other.key_shares["p1"]
    )
    with pytest.raises(ConfigError):
        verify_secrets(mixed, council.treaty)


def test_a_stranger_has_no_secrets_in_the_treaty(council: Council) -> None:
    with pytest.raises(UnknownPartyError):
        verify_secrets(secrets_of(council, "p9", "p1", "p1"), council.treaty)


def found_two_groups() -> Council:
    """Return a council where runs take two groups, in one of which ``p1`` has two seats."""
    weighted = Threshold(min_grants=3, electorate=("p1", "p2", "p3"), weights=(2, 1, 1), minority=False)
    plain = Threshold(min_grants=2, electorate=("p1", "p2", "p3"), weights=(), minority=False)
    quorum = replace(Quorum.of_threshold(2, ("p1", "p2", "p3")), expression=AllOf(parts=(weighted, plain)))
    return make_council(quorums={ActionClass.RUN_GRANT: quorum})


def found_three_and_four() -> Council:
    """Return a council where three of five grant runs, and four amend the rules."""
    four = Quorum.of_threshold(4, tuple(f"p{number}" for number in range(1, 6)))
    return make_council(5, 3, quorums={ActionClass.AMEND_RULES: four})


@pytest.fixture
def amended() -> Treaty:
    """The treaty of three and four after four are to grant runs: the same groups, in the other order."""
    present = found_three_and_four().treaty.statement
    (four,) = (rule.quorum for rule in present.actions if rule.action is ActionClass.AMEND_RULES)
    actions = tuple(
        replace(rule, quorum=four) if rule.action is ActionClass.RUN_GRANT else rule
        for rule in present.actions
    )
    successor = replace(present, epoch=2, actions=actions, groups=present.groups[::-1])
    verify_succession([present], successor, ActionClass.AMEND_RULES)
    return successor


def test_the_shares_of_all_seats_come_back(tmp_path: Path) -> None:
    secrets = secrets_of(found_two_groups(), "p1")
    secrets.save(tmp_path)
    loaded = PartySecrets.load(tmp_path)
    assert [held.seat for held in loaded.key_shares] == [(0, 1), (0, 2), (1, 1)]
    assert [held.share for held in loaded.key_shares] == [held.share for held in secrets.key_shares]


def test_secrets_without_a_seats_share_are_refused() -> None:
    council = found_two_groups()
    secrets = secrets_of(council, "p1")
    verify_secrets(secrets, council.treaty)
    for place in range(3):
        rest = tuple(held for index, held in enumerate(secrets.key_shares) if index != place)
        with pytest.raises(ConfigError, match="holds no key share"):
            verify_secrets(replace(secrets, key_shares=rest), council.treaty)


def test_an_amendment_that_moves_the_groups_leaves_every_party_its_shares(amended: Treaty) -> None:
    # VN-16.5: the group that comes first is the one that the rules mention first.
    council = found_three_and_four()
    for party_id in council.party_ids:
        secrets = secrets_of(council, party_id)
        verify_secrets(secrets, replace(council.treaty, statement=amended))
        before, after = secrets.find_shares(council.treaty.statement), secrets.find_shares(amended)
        assert {group: after[1 - group, seat] for group, seat in before} == {
            group: share for (group, _), share in before.items()
        }


def test_a_share_counts_for_no_other_seat_of_its_group() -> None:
    council = found_three_and_four()
    wrong = replace(secrets_of(council, "p1"), party_id="p2", statement_key=council.party_keys["p2"])
    assert wrong.find_shares(council.treaty.statement) == {}


@pytest.mark.parametrize("group", ["x", "-1", "", "1e3", "1234567", "\u0661"])
def test_a_share_file_whose_name_holds_no_group_is_refused(
    secrets: PartySecrets, tmp_path: Path, group: str
) -> None:
    secrets.save(tmp_path)
    (tmp_path / SHARE_FILE).rename(tmp_path / f"key-share-{group}-1.pem")
    with pytest.raises(ConfigError, match="number of its group"):
        PartySecrets.load(tmp_path)


def test_a_party_that_only_votes_has_no_shares(secrets: PartySecrets, tmp_path: Path) -> None:
    replace(secrets, key_shares=()).save(tmp_path)
    assert PartySecrets.load(tmp_path).key_shares == ()
