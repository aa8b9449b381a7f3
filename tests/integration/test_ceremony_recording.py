"""What was signed in key ceremonies, from a party to the log and to everybody who reads it (VN-15.11)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from support.ceremony import Table, make_resharing
from support.charters import hold_ceremonies, make_charter, make_founded, seat
from support.coordination import Site, identify, serve_site
from vetonet.compliance.public_record import RecordReader
from vetonet.crypto.rng import SeededRng
from vetonet.crypto.statement import sign
from vetonet.errors import EncodingError, UnknownPartyError
from vetonet.party.client import CoordinatorClient
from vetonet.party.logview import LogView
from vetonet.policy.ceremony import CeremonyRound1, CeremonyShares
from vetonet.policy.founding import SpoiltCeremony
from vetonet.tlog.proof import verify_log_proof
from vetonet.voting.founding import judge_spoilt, verify_founding
from vetonet.voting.founding_log import choose_leaves, gather_founding, gather_spoilt, list_statements
from vetonet.wire.errors import WrongIdentityError
from vetonet.wire.identity import Role

COUNCIL = make_founded()
TREATY = COUNCIL.treaty.statement
LEAVES = list_statements(hold_ceremonies())
Scene = Callable[[Site], Awaitable[None]]


def play(scene: Scene, directory: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), serve_site(COUNCIL, directory) as site:
            await scene(site)

    asyncio.run(main())


def connect(site: Site, name: str = "p1", role: Role = Role.PARTY) -> CoordinatorClient:
    return CoordinatorClient.connect(
        site.server.address,
        treaty=COUNCIL.treaty,
        credential=site.issue(role, name),
        server=identify(Role.COORDINATOR, "main"),
        rng=SeededRng(name.encode()),
    )


async def read_log(client: CoordinatorClient) -> tuple[bytes, ...]:
    """Return the leaves, once a party and whoever judges a bundle or monitors the log have read them all."""
    checkpoint, view = await client.get_checkpoint(), LogView(COUNCIL.treaty)
    record = RecordReader(COUNCIL.treaty)
    leaves = await client.fetch_leaves(0, view.confront(checkpoint).tree_size)
    view.advance(leaves, checkpoint)
    for leaf_index, data in enumerate(leaves[1:], start=1):
        record.read_or_note(leaf_index, data)
    assert record.problems == []
    assert record.ledger.ceremonies == view.ledger.ceremonies
    return leaves


def test_a_party_records_a_founding_and_everybody_judges_it_from_the_log(tmp_path: Path) -> None:
    # VN-15.11
    async def scene(site: Site) -> None:
        async with connect(site) as client, connect(site, "p5") as other:
            proofs = await client.record_ceremony(LEAVES)
            assert [proof.leaf_index for proof in proofs] == list(range(1, len(LEAVES) + 1))
            for data, proof in zip(LEAVES, proofs, strict=True):
                verify_log_proof(data, proof, COUNCIL.log_policy)
            again = await other.record_ceremony(LEAVES[::-1])
            assert [proof.leaf_index for proof in again] == list(range(len(LEAVES), 0, -1))
            leaves = await read_log(client)
            assert len(leaves) == len(LEAVES) + 1
            verify_founding(TREATY, gather_founding(TREATY, leaves))

    play(scene, tmp_path)


def test_a_vote_goes_on_in_a_log_with_ceremonies(tmp_path: Path) -> None:
    async def scene(site: Site) -> None:
        async with connect(site) as client, connect(site, "op1", Role.OPERATOR) as operator:
            proposal = COUNCIL.sign_proposal()
            await operator.create_proposal(proposal.data)
            await client.record_ceremony(LEAVES)
            await client.cast_ballot(proposal.payload_digest, COUNCIL.sign_ballot("p1", proposal).data)
            assert len(await read_log(client)) == len(LEAVES) + 3

    play(scene, tmp_path)


def test_who_spoilt_a_ceremony_is_named_by_whoever_reads_the_log(tmp_path: Path) -> None:
    # VN-15.4, VN-15.11
    charter = make_charter()
    tables = (seat(charter, 0, 2), Table.seat(seat(charter, 0, 2).cast, seed=b"again"))
    faces = tuple(next(data for who, _, data in t.under_way if who == "p2") for t in tables)
    spoilt = SpoiltCeremony(attempt=2, group=0, statements=faces)

    async def scene(site: Site) -> None:
        async with connect(site, "p3") as client:
            await client.record_ceremony((*LEAVES, *list_statements(spoilt)))
            leaves = await read_log(client)
        verify_founding(TREATY, gather_founding(TREATY, leaves))
        (found,) = gather_spoilt(charter.terms, leaves)
        verdict = judge_spoilt(charter.terms, found)
        assert verdict is not None
        assert (found, verdict.culprits) == (spoilt, ("p2",))

    play(scene, tmp_path)


def test_a_large_transcript_takes_more_than_one_request(tmp_path: Path) -> None:
    large = [
        sign(CeremonyRound1(ceremony=bytes([number]) * 32, packages=(bytes(4_000),) * 15, hpke_keys=()), key)
        for number in range(12)
        for key in COUNCIL.party_keys.values()
    ]
    assert sum(map(len, large)) > 2**21

    async def scene(site: Site) -> None:
        async with connect(site) as client:
            proofs = await client.record_ceremony(large)
            assert [proof.leaf_index for proof in proofs] == list(range(1, 61))
            assert len(await read_log(client)) == 61

    play(scene, tmp_path)


def test_a_resharing_among_strangers_to_the_treaty_has_no_place(tmp_path: Path) -> None:
    # VN-15.11
    cast = make_resharing()
    transcript = choose_leaves(Table.seat(cast).run().finishes["p1"].transcript)

    async def scene(site: Site) -> None:
        async with connect(site) as client:
            with pytest.raises(UnknownPartyError):
                await client.record_ceremony(transcript)
            assert len(await read_log(client)) == 1

    play(scene, tmp_path)


@pytest.mark.parametrize(
    ("name", "role"), [("op1", Role.OPERATOR), ("maker", Role.OPERATOR), ("p9", Role.PARTY)]
)
def test_nobody_but_a_party_records(tmp_path: Path, name: str, role: Role) -> None:
    # VN-15.11
    async def scene(site: Site) -> None:
        async with connect(site, name, role) as client:
            with pytest.raises((WrongIdentityError, UnknownPartyError)):
                await client.record_ceremony(LEAVES)

    play(scene, tmp_path)


def test_sealed_shares_do_not_get_into_the_log(tmp_path: Path) -> None:
    # VN-15.11
    shares = CeremonyShares(ceremony=bytes(32), transcript=bytes(32), receiver="p2", sealed=bytes(100))
    sealed = sign(shares, COUNCIL.party_keys["p1"])

    async def scene(site: Site) -> None:
        async with connect(site) as client:
            with pytest.raises(EncodingError, match="ceremony-shares"):
                await client.record_ceremony((*LEAVES, sealed))
            assert len(await read_log(client)) == 1

    play(scene, tmp_path)
