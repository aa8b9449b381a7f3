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
"""Of how many runs that the log does not show yet a withdrawal is kept."""


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
            RefusedError: it withdraws nothing, or there are too many already.
        """
        consent = open_consent(data, self._treaty)
        said = consent.statement
        party_id = self._treaty.statement.find_party(consent.signer).party_id
        if said.standing is not Standing.WITHDRAWN:
            raise RefusedError(
                "only a withdrawal is handed over; consent is given through the log", clause="VN-14.3"
            )
        key = (said.proposal_digest, party_id)
        if key not in self._newest and len(self._newest) >= MAX_RUNS:
            raise RefusedError(f"{MAX_RUNS} withdrawals are kept already", culprit=party_id)
        known = self._newest.get(key)
        if known is None or known.statement.number < said.number:
            self._newest[key] = consent
        return consent

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
