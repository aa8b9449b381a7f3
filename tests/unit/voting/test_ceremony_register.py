"""What of key ceremonies may stand in a log, by whom and how much of it (VN-15.11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.ceremony import Table, make_key
from support.charters import Charter, hold_ceremonies, make_charter, make_founded, seat
from vetonet.crypto.keys import SigningKey
from vetonet.crypto.statement import read_unverified, sign
from vetonet.errors import EncodingError, InvalidSignatureError, RefusedError, UnknownPartyError, VetonetError
from vetonet.policy.ceremony import CeremonyDisclosure, CeremonyDone, CeremonyEcho, CeremonyShares
from vetonet.policy.treaty import Party, Treaty
from vetonet.voting import ceremony_register
from vetonet.voting.ceremony_register import CeremonyRegister
from vetonet.voting.founding_log import list_statements
from vetonet.voting.ledger import Ledger, read_leaf, read_leaves

CHARTER: Charter = make_charter()
KEPT = hold_ceremonies()
LEAVES = list_statements(KEPT)


SIGNED = make_founded().treaty
TREATY = SIGNED.statement


def echo(number: int = 0, key: SigningKey = CHARTER.keys["p1"], ceremony: bytes = bytes(32)) -> bytes:
    """Return an echo like no other."""
    return sign(CeremonyEcho(ceremony=ceremony, transcript=number.to_bytes(32, "big")), key)


def log(*leaves: bytes, treaties: tuple[Treaty, ...] = (TREATY,)) -> CeremonyRegister:
    register = CeremonyRegister()
    for data in leaves:
        register = register.add(data, treaties)
    return register


def succeed(**changes: Any) -> Treaty:
    return replace(TREATY, epoch=TREATY.epoch + 1, **changes)


def test_every_statement_of_a_founding_is_a_leaf_that_every_reader_lets_in() -> None:
    # VN-15.11
    ledger = read_leaves(Ledger(treaty=SIGNED), enumerate((SIGNED.data, *LEAVES)))
    assert sum(map(len, ledger.ceremonies.logged.values())) == len(LEAVES)
    assert (ledger.votes, ledger.order) == ({}, ())


def test_a_register_tells_what_it_holds_of_each_signer() -> None:
    # VN-15.11: two echoes of one round 1 say the same; only their signers differ.
    mine, theirs = echo(), echo(key=CHARTER.keys["p2"])
    register = log(mine)
    assert (register.holds(mine), register.holds(theirs), register.holds(echo(1))) == (True, False, False)
    assert all(log(*LEAVES).holds(data) for data in LEAVES)


def test_a_statement_that_stands_twice_is_refused() -> None:
    # VN-15.11
    with pytest.raises(RefusedError, match="stands in the log") as caught:
        log(*LEAVES, LEAVES[3])
    assert caught.value.clause == "VN-15.11"


def test_a_statement_of_a_stranger_is_refused() -> None:
    # VN-15.11
    with pytest.raises(UnknownPartyError):
        log(echo(key=make_key("stranger")))


def test_what_a_stranger_signed_may_be_disclosed_by_a_party() -> None:
    # VN-15.11
    shown = CeremonyDisclosure(ceremony=bytes(32), statements=(echo(key=make_key("stranger")),))
    log(sign(shown, CHARTER.keys["p1"]))


@pytest.mark.parametrize("place", [-1, 40, 150])
def test_an_altered_statement_is_refused(place: int) -> None:
    data = bytearray(LEAVES[0])
    data[place] ^= 1
    with pytest.raises(VetonetError):
        log(bytes(data))


def test_an_altered_signature_is_refused() -> None:
    data = bytearray(LEAVES[0])
    data[-1] ^= 1
    with pytest.raises((InvalidSignatureError, EncodingError)):
        log(bytes(data))


def test_what_is_sealed_has_no_place_in_the_log() -> None:
    # VN-15.11
    shares = CeremonyShares(ceremony=bytes(32), transcript=bytes(32), receiver="p2", sealed=bytes(100))
    with pytest.raises(EncodingError, match="anybody may read, got a ceremony-shares"):
        log(sign(shares, CHARTER.keys["p1"]))


def test_a_leaf_that_is_no_ceremony_s_is_refused() -> None:
    with pytest.raises(EncodingError):
        log(sign(CHARTER.terms, CHARTER.keys["p1"]))


def test_two_faces_are_let_in_as_proof_and_a_third_is_not() -> None:
    # VN-15.4, VN-15.11
    register = log(echo(1), echo(2))
    with pytest.raises(RefusedError, match="more than 2 different ceremony-echo") as caught:
        register.add(echo(3), (TREATY,))
    assert caught.value.culprit == "p1"
    register.add(echo(3, CHARTER.keys["p2"]), (TREATY,))


def test_nobody_floods_the_log_with_ceremonies_and_nobody_uses_up_another_s_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # VN-15.11
    monkeypatch.setattr(ceremony_register, "MAX_CEREMONIES", 3)
    register = log(*(echo(ceremony=bytes([number]) * 32) for number in range(3)))
    with pytest.raises(RefusedError, match="at most 3 ceremonies"):
        register.add(echo(ceremony=b"d" * 32), (TREATY,))
    register.add(echo(1, ceremony=bytes(32)), (TREATY,))
    register.add(echo(key=CHARTER.keys["p2"], ceremony=b"d" * 32), (TREATY,))
    register.add(echo(ceremony=b"d" * 32), (TREATY, succeed()))


def test_whoever_left_with_the_last_change_and_whoever_came_may_still_be_logged() -> None:
    # VN-15.11
    newcomer = make_key("p6")
    later = succeed(parties=(*TREATY.parties[:-1], Party(party_id="p5", key=newcomer.public_key)))
    log(echo(key=newcomer), echo(key=CHARTER.keys["p5"]), treaties=(TREATY, later))
    with pytest.raises(UnknownPartyError):
        log(echo(key=CHARTER.keys["p5"]), treaties=(later,))
    with pytest.raises(UnknownPartyError):
        log(echo(key=newcomer))


def test_the_same_content_signed_under_another_kind_is_another_statement() -> None:
    done = CeremonyDone(ceremony=bytes(32), transcript=bytes(32), package_digest=bytes(32))
    log(echo(), sign(done, CHARTER.keys["p1"]))


def test_a_ledger_refuses_what_the_register_does() -> None:
    # VN-11.3
    ledger = read_leaf(Ledger(treaty=SIGNED), 1, echo())
    with pytest.raises(RefusedError, match="stands in the log"):
        read_leaf(ledger, 2, echo())


def test_the_statements_of_a_real_table_come_in_in_any_order() -> None:
    table = Table.seat(seat(CHARTER, 0).cast, seed=b"again")
    finishes = table.run().finishes
    statements = finishes["p1"].transcript
    assert log(*statements).logged == log(*reversed(statements)).logged
    assert (
        read_unverified(statements[0], CeremonyDone).ceremony == seat(CHARTER, 0).cast.plan.compute_digest()
    )
