"""What is to be proven of hidden totals, as operator and verifier both derive it (VN-18.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from vetonet.confidential.accounts import AccountTotal, sum_totals
from vetonet.confidential.bounds import Bound, compute_licence_bounds, compute_pool_bounds, verify_kinds
from vetonet.confidential.usage import UsageClaim
from vetonet.errors import ProofError
from vetonet.units import Flop


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTotal:
    """One total that needs a proof, with all that the proof must say.

    What has no report has no total to prove: the sum of nothing is nothing, and whether reports are missing
    is for coverage to say (VN-18.3).

    Attributes:
        treaty_digest: the treaty by which it is judged.
        operator_ids: the operators of whom one must prove it, by rising name.
        licence_id: the licence whose total it is, or None.
        owner: the beneficial owner of several operators whose pools it is, or None.
        total: what the reports say of it in public.
        bounds: what it must not exceed.
        parts: what the reports of each operator's chips say of it, by name; each can open its own (VN-18.6).
    """

    treaty_digest: bytes
    operator_ids: tuple[str, ...]
    licence_id: int | None
    owner: str | None
    total: AccountTotal
    bounds: tuple[Bound, ...] = field(repr=False)
    parts: Mapping[str, AccountTotal] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        """Refuse what no proof could say: nobody to prove it, other bounds, a licence of an owner."""
        if not self.operator_ids or (self.licence_id is not None and self.owner is not None):
            msg = "expected an operator, and a licence or an owner, not both"
            raise ValueError(msg)
        verify_kinds(self.bounds, is_licence=self.licence_id is not None)

    @property
    def name(self) -> str:
        """What it is the total of, for people."""
        if self.licence_id is not None:
            return f"licence {self.licence_id}"
        return f"the pool of {self.owner or self.operator_ids[0]}"

    def to_claim(self, operator_id: str) -> UsageClaim:
        """Return the claim that this operator has to prove.

        Raises:
            ValueError: it is not for this operator to prove.
            ProofError: the sum has no spelling, so nobody can prove anything about it.
        """
        if operator_id not in self.operator_ids:
            msg = f"{self.name} is not for {operator_id} to prove"
            raise ValueError(msg)
        if self.total.commitment is None:
            msg = f"the commitments of {self.name} have no sum"
            raise ProofError(msg)
        return UsageClaim(
            treaty_digest=self.treaty_digest,
            operator_id=operator_id,
            licence_id=self.licence_id,
            owner=self.owner,
            period_start_ms=self.total.start_ms,
            period_end_ms=self.total.end_ms,
            report_count=self.total.report_count,
            sum_commitment=self.total.commitment,
            bounds=self.bounds,
        )


def expect_licence(
    treaty_digest: bytes,
    *,
    operator_id: str,
    licence_id: int,
    total_flop: Flop,
    total: AccountTotal,
    stated_flop: Flop = 0,
    parts: Mapping[str, AccountTotal] = MappingProxyType({}),
) -> ExpectedTotal:
    """Return what is to be proven of a licence: budget, rate, and energy where the chips' power is known.

    Args:
        treaty_digest: the treaty by which it is judged.
        operator_id: the operator that proposed the run; it answers for all chips of it, whoever owns them.
        licence_id: of the licence.
        total_flop: its ceiling over all chips.
        total: over all chips that reported under it.
        stated_flop: what open reports took of the ceiling that no commitment of the total holds (VN-18.3).
        parts: the same total by the operators of the chips.
    """
    bounds = compute_licence_bounds(
        total_flop=total_flop,
        rate_flop=total.rate_flop,
        energy_flop=total.energy_flop,
        stated_flop=stated_flop,
    )
    return ExpectedTotal(
        treaty_digest=treaty_digest,
        operator_ids=(operator_id,),
        licence_id=licence_id,
        owner=None,
        total=total,
        bounds=bounds,
        parts=parts,
    )


def expect_pools(
    treaty_digest: bytes,
    *,
    licensed_floor_flop: Flop,
    pools: Mapping[str, AccountTotal],
    owners: Mapping[str, str],
    stated_flop: Mapping[str, Flop] = MappingProxyType({}),
) -> tuple[ExpectedTotal, ...]:
    """Return what is to be proven of work without a licence: each operator's pool, and each owner's.

    An owner behind one operator alone needs no proof of its own: its pool is that operator's.

    Args:
        treaty_digest: the treaty by which it is judged.
        licensed_floor_flop: where the first band that is not free begins.
        pools: of each operator whose chips reported work, or idleness, without a licence.
        owners: the beneficial owner behind each operator that has another than itself.
        stated_flop: what open reports of each operator say that no commitment holds (VN-18.3).
    """

    def expect(names: Sequence[str], owner: str | None) -> ExpectedTotal:
        stated = sum(stated_flop.get(name, 0) for name in names)
        hidden = tuple(name for name in names if name in pools)
        return ExpectedTotal(
            treaty_digest=treaty_digest,
            operator_ids=hidden,
            licence_id=None,
            owner=owner,
            total=sum_totals([pools[name] for name in hidden]),
            bounds=compute_pool_bounds(licensed_floor_flop, stated),
            parts={name: pools[name] for name in hidden},
        )

    behind: dict[str, list[str]] = {}
    for name in sorted(pools.keys() | {name for name, flop in stated_flop.items() if flop}):
        behind.setdefault(owners.get(name, name), []).append(name)
    single = [expect((name,), None) for name in sorted(pools)]
    joint = [
        expect(names, owner)
        for owner, names in sorted(behind.items())
        if len(names) > 1 and not pools.keys().isdisjoint(names)
    ]
    return (*single, *joint)
