"""A ceremony judged by anybody, offline: from its signed statements to the group, or to who spoilt it."""

from __future__ import annotations

from collections.abc import Iterable

from vetonet.crypto import frost
from vetonet.policy.ceremony import CeremonyDone, CeremonyPlan
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
    """Return the group that a ceremony left behind, or who is to blame or was silent where it left none.

    Where the plan hands a group over, the group public key is still its (VN-15.8). No secret is needed, and
    what was sealed is not: that it all fitted is what everybody's ``CeremonyDone`` says. Statements that
    several participants kept can be put together, in any order.

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
        committed = verify_commitments(transcript)
        require_agreement(transcript)
        complaints = read_complaints(transcript)
        if complaints:
            return judge_complaint(transcript, complaints[0], committed)
        package = transcript.scheme.compute_package(committed)
        transcript.verify_dones(package)
        transcript.require_complete(CeremonyDone)
    except CeremonyAbortedError as error:
        return error.verdict
    return package
