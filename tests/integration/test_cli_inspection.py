"""A private field from the command line: proposed, asked for, shown, and nothing else with it (VN-19)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command_line import Ended, call, served
from vetonet.cli.directory import load_operator
from vetonet.cli.exits import Exit
from vetonet.cli.present import read_view
from vetonet.cli.session import connect, run_async
from vetonet.policy.specification import compute_place

CANARY = "canary-hyper-9f2c"
SPECIFICATION = f'data = "a crawl of spring 2026"\n"hyper-parameters" = "{CANARY}"\n'


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inspection")
    assert call("treaty", "new", "--out", root / "trial", "--parties", "3").code == Exit.OK
    (root / "trial" / "run.toml").write_text(SPECIFICATION)
    return root / "trial"


@pytest.fixture(scope="module")
def address(trial: Path) -> Iterator[str]:
    with served(trial) as bound:
        yield bound


def read(ended: Ended) -> Any:
    assert ended.code == Exit.OK, ended.err
    return json.loads(ended.out)


def test_a_field_is_asked_for_and_shown(trial: Path, address: str) -> None:
    operator = ("--dir", trial, "--operator", "op1", "--server", address)
    party = ("--dir", trial, "--party", "P1", "--server", address)
    run = (
        "--total-flop",
        "1e22",
        "--chips",
        "4",
        "--duration",
        "3000h",
        "--specification",
        trial / "run.toml",
    )
    proposed = read(call("propose", *operator, *run, "--json"))
    assert Path(proposed["specification_file"]).parent == trial / "operators" / "op1"
    name = proposed["digest"][:16]

    refused = call("challenge", name, "--field", "data", "--within", "1h", *party)
    assert refused.code == Exit.USAGE
    assert "--within" in refused.err
    asked = read(call("challenge", name, "--field", "data", *party, "--json"))
    for empty in ("", "x" * 1025):
        nameless = call("challenge", name, "--field", empty, *party)
        assert (nameless.code, nameless.err.count("\n")) == (Exit.USAGE, 1)
        assert "--field" in nameless.err
    again = call("challenge", name, "--field", "data", *party)
    assert (again.code, again.err.count("\n")) == (Exit.USAGE, 1)
    assert f"P1 asked for 'data' of this run before, as {asked['digest'][:16]}" in again.err
    (listed,) = read(call("disclose", *operator, "--json"))["challenges"]
    assert (listed["digest"], listed["party"], listed["field"]) == (asked["digest"], "P1", "data")

    other = read(call("propose", *operator, *run[:-2], "--json"))
    wrong = call("disclose", asked["digest"], *operator, "--specification", other["specification_file"])
    assert wrong.code == Exit.USAGE
    assert "another run" in wrong.err

    shown = read(call("disclose", asked["digest"][:12], *operator, "--json"))
    assert (shown["field"], shown["is_there"]) == ("data", True)
    assert shown["leaf_index"] > asked["leaf_index"]
    assert "nothing is asked for" in call("disclose", *operator).out
    (answered,) = read(call("challenge", name, *party, "--json"))["challenges"]
    assert (answered["answered_with"], answered["value"]) == ("data", "a crawl of spring 2026")
    told = call("challenge", name, *party).out
    assert "data, asked by P1: its operator shows:\n    a crawl of spring 2026\n" in told
    assert "nothing was asked of this run" in call("challenge", other["digest"][:16], *party).out
    assert call("disclose", asked["digest"], *operator).code == Exit.USAGE

    leaves = read_leaves(trial, address)
    assert any(b"a crawl of spring 2026" in leaf for leaf in leaves)
    assert not any(CANARY.encode() in leaf for leaf in leaves)


def test_another_field_in_the_place_is_shown_only_where_its_operator_says_so(
    trial: Path, address: str
) -> None:
    # VN-19.4
    operator = ("--dir", trial, "--operator", "op1", "--server", address)
    party = ("--dir", trial, "--party", "P1", "--server", address)
    (trial / "other.toml").write_text('tokenizer = "our own"\n')
    run = ("--total-flop", "1e22", "--chips", "4", "--duration", "3000h")
    kept = ("--specification", trial / "other.toml")
    name = read(call("propose", *operator, *run, *kept, "--json"))["digest"][:16]
    ground = next(f"x{n}" for n in range(100_000) if compute_place(f"x{n}") == compute_place("tokenizer"))
    asked = read(call("challenge", name, "--field", ground, *party, "--json"))
    refused = call("disclose", asked["digest"], *operator)
    assert refused.code == Exit.USAGE
    assert "another one, which has its place, shows that; --show-other" in refused.err
    assert "tokenizer" not in refused.err
    shown = read(call("disclose", asked["digest"], *operator, "--show-other", "--json"))
    assert (shown["field"], shown["is_there"]) == ("tokenizer", True)


def read_leaves(trial: Path, address: str) -> list[bytes]:
    """Return everything that the log holds."""
    member = load_operator(trial, "op1")

    async def fetch() -> list[bytes]:
        async with connect(member, address, is_insecure=False) as client:
            view = await read_view(client, member.treaty)
            return [view.leaf(index) for index in range(view.tree_size)]

    return run_async(fetch)
