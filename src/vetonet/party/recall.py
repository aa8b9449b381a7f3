"""What binds a party through a restart and a change of epoch: its own withdrawals, and what it was handed."""

from __future__ import annotations

import contextlib

from vetonet.crypto.statement import Signed, peek, read_unverified
from vetonet.errors import EpochError, UnknownPartyError
from vetonet.party.ballot_box import BallotBox
from vetonet.party.memory import PartyMemory
from vetonet.party.withdrawals import Withdrawals
from vetonet.policy.standing import Consent, Standing
from vetonet.policy.treaty import Treaty
from vetonet.units import Milliseconds


def recall(memory: PartyMemory, box: BallotBox, withdrawals: Withdrawals) -> None:
    """What the party withdrew, and what peers handed over, counts under the present treaty as it did before.

    Raises:
        EncodingError, InvalidSignatureError, RefusedError: the memory holds what it would not have taken.
    """
    for data in memory.own_consents.values():
        if read_unverified(data, Consent).standing is Standing.WITHDRAWN:
            _restore(data, 0, box, withdrawals)
    for data, received_ms in memory.direct_ballots.items():
        _restore(data, received_ms, box, withdrawals)


def adopt(
    treaties: tuple[Signed[Treaty], ...], memory: PartyMemory, box: BallotBox, withdrawals: Withdrawals
) -> None:
    """The last of these treaties is in force: what was said before counts for nothing new (VN-16.8).

    Withdrawals bind across epochs (VN-14.3), and a daemon that restarted begins with the founding treaty, so
    it goes through all of them.

    Raises:
        EncodingError, InvalidSignatureError, RefusedError: as ``recall``.
    """
    for treaty in treaties:
        box.adopt(treaty)
        withdrawals.adopt(treaty)
        recall(memory, box, withdrawals)


def _restore(data: bytes, received_ms: Milliseconds, box: BallotBox, withdrawals: Withdrawals) -> None:
    """What is of another treaty than the one adopted last has its turn when that one is adopted."""
    with contextlib.suppress(EpochError, UnknownPartyError):
        if peek(data).kind == Consent.TYPE:
            withdrawals.restore(data)
        else:
            box.restore(data, received_ms)
