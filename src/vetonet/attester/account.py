"""What a confidential report commits to: the account on which its interval is booked (VN-17.18; ADR 0031).

A chip keeps an account for each licence, of the FLOP that it did under it, and one for all that it did
without any. A report commits to what stands on one of them after its interval, so the last commitment of each
account holds all of it, and nobody has to subtract anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from vetonet.crypto.pedersen import MAX_VALUE, Opening, compute_blinding
from vetonet.units import UNIT_FLOP, Flop

_CONTEXT: Final = b"vetonet account 1\n"
_NO_LICENCE: Final = bytes(8)
_NUMBER_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a chip computed under one licence so far, or in all its life without one.

    Attributes:
        licence_id: which licence, or None.
        flop: exactly; no report says it.
    """

    licence_id: int | None
    flop: Flop = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse more than a commitment can say, which no chip ever counts.

        It takes 1.8e34 FLOP, and the fastest chip in the table of models, at work from 1970 to the latest
        time that a statement can name, does 3e27.

        Raises:
            ValueError: it is more.
        """
        if not 0 <= self.units <= MAX_VALUE:
            raise ValueError("expected an account of which a commitment of 64 bits can speak")

    @property
    def units(self) -> int:
        """The whole units of ``UNIT_FLOP`` on it; what is begun does not count, so no sum is too high."""
        return self.flop // UNIT_FLOP


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningTold:
    """The operator alone learns what this report commits to; it proves bounds on sums with it.

    Attributes:
        counter: of the report.
        licence_id: whose account it is, or None for the one without a licence.
        opening: of the report's commitment.
    """

    counter: int
    licence_id: int | None
    opening: Opening = field(repr=False)


def open_account(account: Account, *, secret: bytes, ueid: bytes, counter: int) -> OpeningTold:
    """Return what opens the commitment to an account in the report of this number (VN-18.7).

    The blinding follows from the value too, as a nonce of RFC 6979 follows from the message: a chip that was
    put back and counts otherwise the second time commits under another blinding. Under the same one, the
    difference of two commitments would be a multiple of H, which anybody can count up to.

    Args:
        account: what stands on it after the interval.
        secret: the chip's, 32 bytes.
        ueid: which chip.
        counter: the number of the report.
    """
    value = account.units
    context = _CONTEXT + ueid + _spell(counter) + _spell_licence(account.licence_id) + _spell(value)
    opening = Opening(value=value, blinding=compute_blinding(secret, context))
    return OpeningTold(counter=counter, licence_id=account.licence_id, opening=opening)


def _spell_licence(licence_id: int | None) -> bytes:
    return b"\x00" + _NO_LICENCE if licence_id is None else b"\x01" + _spell(licence_id)


def _spell(number: int) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big")
