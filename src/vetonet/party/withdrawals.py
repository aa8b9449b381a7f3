"""Withdrawals that reached a party directly bind before the log holds them, as direct vetoes do (VN-14.3)."""

from __future__ import annotations

from collections.abc import Mapping
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

    def add(self, data: bytes) -> Signed[Consent]:
        """Return the statement that was handed over, kept where it is newer than the one before.

        Raises:
            EncodingError, UnknownPartyError, InvalidSignatureError, EpochError: not one of this treaty.
            RefusedError: it withdraws nothing, or its party handed over too many already.
        """
        consent, key = self._open(data)
        kept = sum(party_id == key[1] for _, party_id in self._newest)
        if key not in self._newest and kept >= MAX_RUNS:
            raise RefusedError(f"{MAX_RUNS} withdrawals of {key[1]} are kept already", culprit=key[1])
        self._keep(key, consent)
        return consent

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

    def _keep(self, key: tuple[bytes, str], consent: Signed[Consent]) -> None:
        known = self._newest.get(key)
        if known is None or known.statement.number < consent.statement.number:
            self._newest[key] = consent

    def list_on(self, digest: bytes) -> tuple[Signed[Consent], ...]:
        """Return the withdrawals from one run."""
        return tuple(consent for (run, _), consent in self._newest.items() if run == digest)

    def settle(self, ledger: Ledger) -> None:
        """What the log holds as well, or newer, is let go."""
        self._newest = {
            key: consent for key, consent in self._newest.items() if not _is_logged(ledger, key, consent)
        }


def _is_logged(ledger: Ledger, key: tuple[bytes, str], consent: Signed[Consent]) -> bool:
    tenure = ledger.tenures.get(key[0])
    standings: Mapping[str, Signed[Consent]] = {} if tenure is None else tenure.standings
    known = standings.get(key[1])
    return known is not None and known.statement.number >= consent.statement.number
