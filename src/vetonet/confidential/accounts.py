"""Accounts: what reports say in public about a hidden count, chip by chip and added up (VN-18.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vetonet.confidential.bounds import compute_energy_flop, compute_rate_flop
from vetonet.crypto import secp256k1
from vetonet.crypto.pedersen import Commitment
from vetonet.units import Flop, FlopPerS, Milliseconds


class Interval(NamedTuple):
    """What one report says in public about the account on which its interval is booked.

    Attributes:
        start_ms, end_ms: the interval.
        commitment: 33 bytes: the account of this chip so far, up to the end of the interval.
        is_idle: whether the chip says that it computed nothing.
        peak_flop_per_s: the chip's peak at the report's precision, 0 where it has none.
        energy_j: what it drew, as reported.
        tdp_w: the chip's thermal design power, or None where its enrolment states none.
    """

    start_ms: Milliseconds
    end_ms: Milliseconds
    commitment: bytes
    is_idle: bool
    peak_flop_per_s: FlopPerS
    energy_j: int
    tdp_w: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipAccount:
    """One account of one chip: a licence's, or that of all its work without one.

    Attributes:
        ueid: the chip.
        report_count: how many of its reports are booked on the account.
        start_ms, end_ms: from the start of the first such interval to the end of the last.
        commitment: that of the last report: the whole account, so that nothing needs to be subtracted.
        rate_flop: the most that it can have computed in the intervals in which it was not idle.
        energy_flop: the most that the energy of those can have bought; None where its power is not known.
    """

    ueid: bytes
    report_count: int
    start_ms: Milliseconds
    end_ms: Milliseconds
    commitment: bytes
    rate_flop: Flop
    energy_flop: Flop | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTotal:
    """The sum of chips' accounts: that of a licence, of an operator's pool, or of an owner's (VN-18.2).

    Attributes:
        chip_count: how many chips; the true total exceeds the committed one by less than a unit for each.
        report_count: how many reports.
        start_ms, end_ms: from the start of the first interval to the end of the last.
        commitment: to the total in whole units; None where the sum has no spelling, because a chip's bytes
            spell no point or all points cancel out. No proof is about such a sum.
        rate_flop: the sum of the chips'.
        energy_flop: the sum of the chips', with the rate of those whose power is not known; None where that
            is so of all.
    """

    chip_count: int
    report_count: int
    start_ms: Milliseconds
    end_ms: Milliseconds
    commitment: Commitment | None
    rate_flop: Flop
    energy_flop: Flop | None


def sum_intervals(ueid: bytes, intervals: Iterable[Interval]) -> ChipAccount:
    """Return the account that these reports of one chip are booked on.

    Args:
        ueid: the chip.
        intervals: all its reports on this account and no others, in the order of their counters.

    Raises:
        ValueError: there are none.
    """
    count, start_ms, end_ms, rate_flop = 0, 0, 0, 0
    energy_flop: Flop | None = 0
    commitment = b""
    for start, end, commitment, is_idle, peak, energy_j, tdp_w in intervals:  # noqa: B007 - the last one stays
        start_ms, end_ms = (min(start_ms, start), max(end_ms, end)) if count else (start, end)
        count += 1
        if is_idle:  # neither the time nor the energy of an idle chip makes room for work (VN-18.3)
            continue
        rate_flop += compute_rate_flop(peak_flop_per_s=peak, duration_ms=end - start)
        energy_flop = _add_energy(energy_flop, peak, tdp_w, energy_j)
    if not count:
        msg = "an account without a report is none: its total is nothing, and needs no proof"
        raise ValueError(msg)
    return ChipAccount(
        ueid=ueid,
        report_count=count,
        start_ms=start_ms,
        end_ms=end_ms,
        commitment=commitment,
        rate_flop=rate_flop,
        energy_flop=energy_flop,
    )


def sum_chips(accounts: Iterable[ChipAccount]) -> AccountTotal:
    """Return the total of these chips' accounts; the order does not matter.

    Raises:
        ValueError: there are none, or one chip stands twice: it would count twice (VN-18.2).
    """
    listed = list(accounts)
    if not listed or len({account.ueid for account in listed}) < len(listed):
        msg = "expected at least one chip and none twice"
        raise ValueError(msg)
    return AccountTotal(
        chip_count=len(listed),
        report_count=sum(account.report_count for account in listed),
        start_ms=min(account.start_ms for account in listed),
        end_ms=max(account.end_ms for account in listed),
        commitment=_sum_points([account.commitment for account in listed]),
        rate_flop=sum(account.rate_flop for account in listed),
        energy_flop=_sum_energy(listed),
    )


def sum_totals(totals: Sequence[AccountTotal]) -> AccountTotal:
    """Return the total of several operators' pools, for the one owner behind them.

    Raises:
        ValueError: there are none.
    """
    if not totals:
        msg = "expected at least one total"
        raise ValueError(msg)
    parts = [total.commitment for total in totals]
    points = [part.point for part in parts if part is not None]
    return AccountTotal(
        chip_count=sum(total.chip_count for total in totals),
        report_count=sum(total.report_count for total in totals),
        start_ms=min(total.start_ms for total in totals),
        end_ms=max(total.end_ms for total in totals),
        commitment=_sum_points(points) if len(points) == len(parts) else None,
        rate_flop=sum(total.rate_flop for total in totals),
        energy_flop=_sum_energy(totals),
    )


def _add_energy(so_far: Flop | None, peak: FlopPerS, tdp_w: int | None, energy_j: int) -> Flop | None:
    if so_far is None or not tdp_w:
        return None
    return so_far + compute_energy_flop(peak_flop_per_s=peak, tdp_w=tdp_w, energy_j=energy_j)


def _sum_energy(parts: Sequence[ChipAccount] | Sequence[AccountTotal]) -> Flop | None:
    """Return the sum; the rate stands for a part whose power is unknown, None where that is so of all.

    Else one chip of a model without a stated power would lift the bound from all the others.
    """
    if all(part.energy_flop is None for part in parts):
        return None
    return sum(part.rate_flop if part.energy_flop is None else part.energy_flop for part in parts)


def _sum_points(points: Sequence[bytes]) -> Commitment | None:
    try:
        summed = secp256k1.add_points(points)
    except ValueError:  # a chip whose commitment spells no point: then nothing is proven about the total
        return None
    return None if summed is None else Commitment(point=summed)
