"""A key ceremony judged by anybody, offline: from its signed statements to the group, or to who spoilt it."""

from __future__ import annotations

from collections.abc import Iterable

from vetonet.crypto import frost
from vetonet.errors import EncodingError
from vetonet.policy.ceremony import CeremonyComplaint, CeremonyDone, CeremonyPlan
from vetonet.voting.ceremony_shares import judge_complaint
from vetonet.voting.ceremony_transcript import (
    CeremonyAbortedError,
    CeremonyTranscript,
    CeremonyVerdict,
    read_complaints,
    require_agreement,
    verify_commitments,
)


def replay_transcript(
    plan: CeremonyPlan, statements: Iterable[bytes]
) -> frost.PublicKeyPackage | CeremonyVerdict:
    """Return the group that a ceremony made, or who is to blame or was silent where it made none.

    No secret is needed, and the sealed shares are not: that each fitted is what everybody's
    ``CeremonyDone`` says. Statements that several participants kept can be put together, in any order.

    Args:
        plan: what was agreed before, from a source that the reader trusts.
        statements: signed bytes as received.

    Raises:
        EncodingError, UnknownPartyError, InvalidSignatureError, EpochError, RefusedError: one of them is
            none of this ceremony's.
        ProtocolError: every statement is right, and yet they make no key.
    """
    transcript = CeremonyTranscript.begin(plan)
    try:
        for data in statements:
            transcript = transcript.add(data)
        packages = verify_commitments(transcript)
        require_agreement(transcript)
        complaints = read_complaints(transcript)
        if complaints:
            return judge_complaint(transcript, complaints[0], _index_by_seat(packages))
        package = frost.compute_public_key_package(packages)
        transcript.verify_dones(package)
        transcript.require_complete(CeremonyDone)
    except CeremonyAbortedError as error:
        return error.verdict
    return package


def verify_complaint(plan: CeremonyPlan, statements: Iterable[bytes], complaint: bytes) -> CeremonyVerdict:
    """Return who lied: the dealers complained of, or the complainer.

    Args:
        plan: what was agreed before.
        statements: everybody's round 1 and echo; more does no harm.
        complaint: the signed complaint, which holds the shares and the key that opens them.

    Raises:
        EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: something here is none of this
            ceremony's.
        CeremonyAbortedError: the complaint cannot be judged, because a round 1 or echo is missing, bad or
            differs; the error's verdict says whose.
    """
    transcript = CeremonyTranscript.begin(plan)
    for data in (*statements, complaint):
        transcript = transcript.add(data)
    packages = verify_commitments(transcript)
    signer = transcript.find_signer(transcript.open(complaint))
    signed = transcript.find(CeremonyComplaint, signer)
    if signed is None:
        raise EncodingError("expected a complaint")
    return judge_complaint(transcript, signed, _index_by_seat(packages))


def _index_by_seat(
    packages: Iterable[frost.Round1Package],
) -> dict[frost.Identifier, frost.Round1Package]:
    return {package.identifier: package for package in packages}
