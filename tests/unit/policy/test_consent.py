"""What amounts to consent: signatures of the groups that a class of action takes, and no others (VN-7.8)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from support.world import Council, make_council
from vetonet.crypto import cose, frost
from vetonet.crypto.statement import attach_signatures, compute_signing_input
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, InvalidSignatureError, ProtocolError, UnknownPartyError
from vetonet.policy.action import ActionClass
from vetonet.policy.expression import AllOf, AnyOf, Expression, Threshold
from vetonet.policy.licence import Licence, derive_licence, open_licence
from vetonet.policy.quorum import Quorum, Recusal
from vetonet.policy.treaty import Group

RUN, PATCH = ActionClass.RUN_GRANT, ActionClass.SECURITY_PATCH


def leaf(k: int, *names: str, weights: tuple[int, ...] = ()) -> Threshold:
    return Threshold(min_grants=k, electorate=names, weights=weights, minority=False)


def found(expression: Expression, patch: Expression | None = None) -> Council:
    """Return a council of four whose runs this expression grants; ``patch`` is that of security patches."""
    chosen = {RUN: expression} | ({} if patch is None else {PATCH: patch})
    return make_council(
        4,
        quorums={
            action: Quorum(
                expression=each, veto_holders=(), veto_share=None, min_ballots=0, recusal=Recusal.GRANTS
            )
            for action, each in chosen.items()
        },
    )


def derive_from(council: Council) -> Licence:
    return derive_licence(council.treaty, council.sign_proposal(), 1, (2, 3, 4))


def take_signatures(council: Council, licence: Licence, *indices: int) -> Mapping[bytes, cbor.Item]:
    """Return the signature entry of each of these groups by its key id."""
    entries = {}
    for group in council.treaty.statement.list_groups(RUN):
        if group.index in indices:
            data = council.sign_by(licence, council.party_ids, groups=(group.index,))
            *_, (entry,) = cbor.from_bytes(data[len(cose.TAG_SIGN) :], max_bytes=16_384)
            entries[group.key.key_id] = entry
    return entries


def assemble(council: Council, licence: Licence, entries: list[cbor.Item]) -> bytes:
    """Return a licence with exactly these signatures in this order."""
    data = council.sign_by(licence, council.party_ids)
    body, _, payload, _ = cbor.from_bytes(data[len(cose.TAG_SIGN) :], max_bytes=16_384)
    return cose.TAG_SIGN + cbor.to_bytes([body, {}, payload, entries])


MANY, KEY = leaf(2, "p1", "p2", "p3"), leaf(1, "p4")
BOTH = found(AllOf(parts=(MANY, KEY)))
LICENCE = derive_from(BOTH)


def find_group(council: Council, index: int) -> Group:
    return council.treaty.statement.all_groups[index]


def test_a_licence_signed_by_both_groups_that_must_sign_opens() -> None:
    signed = open_licence(BOTH.sign_by(LICENCE, BOTH.party_ids), BOTH.treaty)
    assert set(signed.signers) == {find_group(BOTH, 0).key, find_group(BOTH, 1).key}


@pytest.mark.parametrize(("present", "absent"), [(0, 1), (1, 0)])
def test_a_licence_with_one_of_two_signatures_that_must_be_there_is_refused(
    present: int, absent: int
) -> None:
    # VN-7.8
    data = BOTH.sign_by(LICENCE, BOTH.party_ids, groups=(present,))
    with pytest.raises(InvalidSignatureError, match="signed by 1 of 2 groups") as caught:
        open_licence(data, BOTH.treaty)
    assert caught.value.culprits == (find_group(BOTH, absent).key.key_id.hex(),)


def test_all_other_parties_together_cannot_replace_the_key_of_one_holder() -> None:
    # VN-4.6, VN-7.8: a veto by key. Whoever signs, in whatever group, the holder's signature is missing.
    data = BOTH.sign_by(LICENCE, ("p1", "p2", "p3"))
    with pytest.raises(InvalidSignatureError, match="not consent to run-grant"):
        open_licence(data, BOTH.treaty)
    holder = find_group(BOTH, 1)
    assert holder.list_seats("p1") == holder.list_seats("p2") == holder.list_seats("p3") == ()
    share = BOTH.key_shares["p1"][0].share
    nonces, commitments = frost.commit(share, BOTH.rng)
    message = compute_signing_input(LICENCE, holder.key)
    package = frost.SigningPackage(message=message, commitments=(commitments,))
    with pytest.raises(ProtocolError):  # the share of another group makes no signature under this one's key
        frost.aggregate(package, [frost.sign(package, nonces, share)], holder.package)


def test_a_signature_of_one_group_does_not_pass_for_that_of_another() -> None:
    # VN-7.8
    first, second = find_group(BOTH, 0), find_group(BOTH, 1)
    data = BOTH.sign_by(LICENCE, BOTH.party_ids, groups=(1,))
    signature = cbor.from_bytes(data[len(cose.TAG_SIGN) :], max_bytes=16_384)[3][0][2]
    with pytest.raises(InvalidSignatureError):
        attach_signatures(LICENCE, {first.key: signature, second.key: signature})
    entries = take_signatures(BOTH, LICENCE, 0, 1)
    swapped = {first.key.key_id: second.key.key_id, second.key.key_id: first.key.key_id}
    forged = [[entries[key_id][0], {}, entries[swapped[key_id]][2]] for key_id in sorted(entries)]
    with pytest.raises(InvalidSignatureError):
        open_licence(assemble(BOTH, LICENCE, forged), BOTH.treaty)


def test_a_signature_twice_or_out_of_order_is_refused() -> None:
    # VN-7.8: one consent, one spelling.
    entries = take_signatures(BOTH, LICENCE, 0, 1)
    first, second = (entries[key_id] for key_id in sorted(entries))
    open_licence(assemble(BOTH, LICENCE, [first, second]), BOTH.treaty)
    for wrong in ([second, first], [first, first], [first, first, second], [first, second, second]):
        with pytest.raises(EncodingError, match="once each, in the order"):
            open_licence(assemble(BOTH, LICENCE, wrong), BOTH.treaty)


def test_one_signature_twice_does_not_count_for_two() -> None:
    # VN-7.8
    entries = take_signatures(BOTH, LICENCE, 0)
    (only,) = entries.values()
    with pytest.raises(EncodingError):
        open_licence(assemble(BOTH, LICENCE, [only, only]), BOTH.treaty)


def test_the_group_of_another_class_of_action_cannot_sign_a_licence() -> None:
    # VN-4.6: who may approve a patch may not thereby license a run, alone or beside those who may.
    council = found(MANY, patch=leaf(3, "p1", "p2", "p3", "p4"))
    licence = derive_from(council)
    data = council.sign_by(licence, council.party_ids, action=PATCH)
    with pytest.raises(UnknownPartyError) as caught:
        open_licence(data, council.treaty)
    assert caught.value.clause == "VN-2.2"
    (patch,) = council.treaty.statement.list_groups(PATCH)
    (foreign,) = cbor.from_bytes(data[len(cose.TAG_SIGN) :], max_bytes=16_384)[3]
    entries = dict(take_signatures(council, licence, 0)) | {patch.key.key_id: foreign}
    superfluous = assemble(council, licence, [entries[key_id] for key_id in sorted(entries)])
    with pytest.raises(UnknownPartyError):
        open_licence(superfluous, council.treaty)


def test_either_branch_is_enough_where_any_is() -> None:
    # VN-4.2, VN-7.8
    council = found(AnyOf(parts=(leaf(2, "p1", "p2"), leaf(2, "p3", "p4"))))
    licence = derive_from(council)
    for names in (("p1", "p2"), ("p3", "p4")):
        assert len(open_licence(council.sign_by(licence, names), council.treaty).signers) == 1
    with pytest.raises(InvalidSignatureError, match="nobody signed"):
        council.sign_by(licence, ("p1", "p3"))


def test_half_of_each_of_two_ways_is_not_one_way() -> None:
    # VN-4.2: groups of different branches do not add up.
    one, two = leaf(1, "p1"), leaf(1, "p2")
    three, four = leaf(1, "p3"), leaf(1, "p4")
    council = found(AnyOf(parts=(AllOf(parts=(one, two)), AllOf(parts=(three, four)))))
    licence = derive_from(council)
    for names in (("p1", "p3"), ("p2", "p4"), ("p1",)):
        with pytest.raises(InvalidSignatureError, match="not consent"):
            open_licence(council.sign_by(licence, names), council.treaty)
    for enough in (("p1", "p2"), ("p3", "p4"), ("p1", "p2", "p3")):
        open_licence(council.sign_by(licence, enough), council.treaty)


def test_a_party_with_two_seats_signs_with_two_shares() -> None:
    # VN-4.1, VN-7.2
    council = found(leaf(3, "p1", "p2", "p3", weights=(2, 1, 1)))
    licence = derive_from(council)
    assert [held.seat for held in council.key_shares["p1"]][:2] == [(0, 1), (0, 2)]
    for names in (("p1", "p2"), ("p1", "p3"), ("p1", "p2", "p3")):
        open_licence(council.sign_by(licence, names), council.treaty)
    for few in (("p2", "p3"), ("p1",)):
        with pytest.raises(InvalidSignatureError, match="nobody signed"):
            council.sign_by(licence, few)
