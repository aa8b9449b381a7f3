"""Withdrawals that reached a party directly bind before the log holds them, as direct vetoes do (VN-14.3)."""

from __future__ import annotations

from typing import Final

from vetonet.crypto.statement import Signed
from vetonet.errors import RefusedError
from vetonet.policy.standing import Consent, Standing, open_consent
from vetonet.policy.treaty import Treaty
from vetonet.voting.ledger import Ledger

MAX_RUNS: Final = 1_024
"""From how many runs that the log does not show yet a withdrawal is kept, of each party.

An allowance of its own, so that nobody uses up the room that another's withdrawal needs.
"""

MAX_AHEAD: Final = 16
"""How far the number of a withdrawal may be above that of its party's last word in the log.

An honest party is at most one ahead of the log, and a reader may be a little behind it. So what a party can
have kept on others' disks of one run is bounded by what the log itself holds.
"""


class Withdrawals:
    """The newest withdrawal of each party from each run, as far as it was handed over."""

    __slots__ = ("_newest", "_treaty")

    def __init__(self, treaty: Signed[Treaty]) -> None:
        """Begin empty."""
        self._treaty = treaty
        self._newest: dict[tuple[bytes, str], Signed[Consent]] = {}

    def adopt(self, treaty: Signed[Treaty]) -> None:
        """Only withdrawals under this treaty are taken from now on; those that were taken still bind."""
        self._treaty = treaty

    def add(self, data: bytes, ledger: Ledger) -> Signed[Consent] | None:
        """Return the withdrawal that is kept now: the one that was handed over, if it is newer than before.

        None where the log holds it, or a newer word. What is returned must be durable before anybody counts
        on it, and is the same for everything that is no news: so no flood of it fills a disk.

        Args:
            data: a signed statement, from whomever.
            ledger: what the log says so far.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: not one of this treaty.
            RefusedError: it withdraws nothing, its party handed over too many already, or its number is far
                ahead of the log.
        """
        consent, key = self._open(data)
        logged, number = _find_logged(ledger, key), consent.statement.number
        if number <= logged:
            return None
        if number > logged + MAX_AHEAD:
            msg = f"withdrawal {number} of {key[1]}, whose last word in the log has number {logged}"
            raise RefusedError(msg, culprit=key[1], clause="VN-14.2")
        kept = sum(party_id == key[1] for _, party_id in self._newest)
        if key not in self._newest and kept >= MAX_RUNS:
            raise RefusedError(f"{MAX_RUNS} withdrawals of {key[1]} are kept already", culprit=key[1])
        return self._keep(key, consent)

    def restore(self, data: bytes) -> None:
        """A withdrawal that this party kept before it restarted, or made itself, binds it.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: not one of this treaty.
            RefusedError: it withdraws nothing.
        """
        consent, key = self._open(data)
        self._keep(key, consent)

    def _open(self, data: bytes) -> tuple[Signed[Consent], tuple[bytes, str]]:
        consent = open_consent(data, self._treaty)
        if consent.statement.standing is not Standing.WITHDRAWN:
            raise RefusedError(
                "only a withdrawal is handed over; consent is given through the log", clause="VN-14.3"
            )
        party_id = self._treaty.statement.find_party(consent.signer).party_id
        return consent, (consent.statement.proposal_digest, party_id)

    def _keep(self, key: tuple[bytes, str], consent: Signed[Consent]) -> Signed[Consent]:
        """Return the newest of the party from the run; of two with one number, the first."""
        known = self._newest.get(key)
        if known is None or known.statement.number < consent.statement.number:
            self._newest[key] = consent
        return self._newest[key]

    def list_on(self, digest: bytes) -> tuple[Signed[Consent], ...]:
        """Return the withdrawals from one run."""
        return tuple(consent for (run, _), consent in self._newest.items() if run == digest)

    def settle(self, ledger: Ledger) -> None:
        """What the log holds as well, or newer, is let go."""
        self._newest = {
            key: consent
            for key, consent in self._newest.items()
            if _find_logged(ledger, key) < consent.statement.number
        }


def _find_logged(ledger: Ledger, key: tuple[bytes, str]) -> int:
    """Return the number of a party's last word on a run in the log, 0 where it said nothing yet."""
    tenure = ledger.tenures.get(key[0])
    said = None if tenure is None else tenure.standings.get(key[1])
    return 0 if said is None else said.statement.number
