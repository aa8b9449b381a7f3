"""The ceremonies that a party holds at a time: one for each group that is handed over, at one address."""

from __future__ import annotations

from vetonet.errors import EpochError, UnexpectedEventError, UnknownPartyError
from vetonet.party.ceremony import CeremonyDriver
from vetonet.wire.identity import Identity


class CeremonyHall:
    """Takes what is delivered, and gives it to the ceremony that it belongs to."""

    def __init__(self, party_id: str = "") -> None:
        """Hold no ceremony of this party yet."""
        self._party_id = party_id
        self._drivers: dict[bytes, CeremonyDriver] = {}

    def admit(self, driver: CeremonyDriver) -> None:
        """The ceremony is held here; admit it before it runs, lest what others say first is refused.

        Raises:
            ValueError: it is held here already.
        """
        ceremony = driver.plan.compute_digest()
        if ceremony in self._drivers:
            raise ValueError("the ceremony is held here already")
        self._drivers[ceremony] = driver

    @property
    def party_id(self) -> str:
        """Whose it is."""
        return self._party_id

    @property
    def max_message_bytes(self) -> int:
        """The largest statement of the ceremonies that are held, 0 without any."""
        return max((driver.plan.max_message_bytes for driver in self._drivers.values()), default=0)

    def receive(self, data: bytes, caller: Identity | None) -> None:
        """A statement is taken by the ceremony that it names.

        Args:
            data: untrusted bytes.
            caller: who hands it over; None on a server without certificates.

        Raises:
            UnexpectedEventError: no ceremony is held here.
            EpochError: the statement is of another ceremony than those that are.
            UnknownPartyError: its signer takes part in none of them.
            WrongIdentityError: the caller is not the party that signed it.
            VetonetError: it is no statement of a ceremony.
        """
        refusal: EpochError | UnknownPartyError | None = None
        for driver in self._drivers.values():
            try:
                return driver.receive(data, caller)
            except EpochError as error:
                refusal = error
            except UnknownPartyError as error:
                refusal = refusal or error
        raise refusal or UnexpectedEventError("no ceremony is held here")
