"""A founding judged by somebody who took no part: groups follow from what was signed, or do not (VN-15.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.ceremony import Table
from support.charters import Charter, hold_ceremonies, make_charter, seat
from vetonet.crypto.statement import sign
from vetonet.errors import EncodingError, EpochError, VetonetError
from vetonet.policy.ceremony import read_ceremony
from vetonet.policy.founding import FoundingRecord, GroupTranscript, plan_ceremonies
from vetonet.policy.treaty import Treaty
from vetonet.voting.ceremony_transcript import CeremonyAbortedError
from vetonet.voting.founding import ShownTranscript, read_group, verify_founding

CHARTER: Charter = make_charter()
KEPT = hold_ceremonies()
PLANS = plan_ceremonies(CHARTER.terms, 1)


def derive() -> Treaty:
    return CHARTER.terms.to_treaty(
        read_group(plan, kept.statements) for plan, kept in zip(PLANS, KEPT.transcripts, strict=True)
    )


def test_an_outsider_derives_the_group_that_the_participants_have() -> None:
    finishes = seat(CHARTER, 0).run().finishes
    assert {finish.package for finish in finishes.values()} == {
        read_group(PLANS[0], finishes["p2"].transcript)
    }


def test_a_treaty_holds_up_to_the_record_of_its_founding() -> None:
    verify_founding(derive(), KEPT)
    assert FoundingRecord.from_bytes(KEPT.to_bytes()) == KEPT


def test_a_treaty_with_a_group_of_another_ceremony_does_not() -> None:
    other = hold_ceremonies(2).transcripts[1].statements
    stranger = read_group(plan_ceremonies(CHARTER.terms, 2)[1], other)
    with pytest.raises(EncodingError, match="another group"):
        verify_founding(replace(derive(), groups=(derive().groups[0], stranger)), KEPT)


def test_a_record_of_another_attempt_is_refused() -> None:
    # VN-15.1
    with pytest.raises(EpochError):
        verify_founding(derive(), replace(KEPT, attempt=2))


def test_transcripts_that_changed_places_are_refused() -> None:
    with pytest.raises(VetonetError):
        verify_founding(derive(), replace(KEPT, transcripts=KEPT.transcripts[::-1]))


@pytest.mark.parametrize("attempt", [0, 1])
def test_a_record_without_a_ceremony_is_refused(attempt: int) -> None:
    with pytest.raises(EncodingError, match="ceremonies"):
        verify_founding(derive(), FoundingRecord(attempt=attempt, transcripts=KEPT.transcripts[:1]))


def test_a_transcript_without_one_partys_word_names_it_as_silent() -> None:
    # VN-15.6
    statements = KEPT.transcripts[0].statements
    with pytest.raises(CeremonyAbortedError) as caught:
        read_group(PLANS[0], statements[1:])
    assert caught.value.verdict.culprits == ()
    assert len(caught.value.verdict.silent) == 1


def test_an_empty_transcript_makes_no_group() -> None:
    with pytest.raises(CeremonyAbortedError):
        read_group(PLANS[0], ())
    with pytest.raises(CeremonyAbortedError):
        verify_founding(derive(), replace(KEPT, transcripts=(GroupTranscript(statements=()),) * 2))


def test_what_participants_show_is_put_together_until_the_group_follows() -> None:
    statements = KEPT.transcripts[0].statements
    shown = ShownTranscript(plan=PLANS[0]).add(statements[:4])
    assert shown.package is None
    assert shown.verdict is not None
    whole = shown.add(statements[3:])
    assert whole.package == derive().groups[0]
    assert whole.verdict is None
    assert whole.add(statements) is whole


def test_a_statement_of_another_ceremony_among_those_shown_counts_nothing() -> None:
    # VN-15.1
    shown = ShownTranscript(plan=PLANS[0]).add(KEPT.transcripts[0].statements[:2])
    with pytest.raises(VetonetError):
        shown.add((*KEPT.transcripts[0].statements, KEPT.transcripts[1].statements[0]))


def test_two_faces_shown_by_two_participants_convict_their_signer() -> None:
    # VN-15.4
    first = seat(CHARTER, 0).run().finishes["p1"].transcript
    other = Table.seat(seat(CHARTER, 0).cast, seed=b"again")
    again = next(data for sender, _, data in other.under_way if sender == "p2")
    shown = ShownTranscript(plan=PLANS[0]).add(first[:3]).add(first).add((again,))
    assert shown.verdict is not None
    assert shown.verdict.culprits == ("p2",)


@pytest.mark.parametrize("data", [b"", b"\xd2", sign(CHARTER.terms, CHARTER.keys["p1"])])
def test_bytes_that_are_no_statement_of_a_ceremony_name_none(data: bytes) -> None:
    with pytest.raises(EncodingError):
        read_ceremony(data)


def test_a_statement_says_of_which_ceremony_it_is() -> None:
    assert {read_ceremony(data) for data in KEPT.transcripts[1].statements} == {PLANS[1].compute_digest()}
