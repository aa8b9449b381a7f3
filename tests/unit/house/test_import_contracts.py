"""The import contracts and the banned calls can fail: a planted violation is seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent

SIDEWAYS = {
    "vetonet.web.planted": "vetonet.cli",
    "vetonet.party.planted": "vetonet.service",
    "vetonet.sim.planted": "vetonet.party",
    "vetonet.storage.planted": "vetonet.wire",
    "vetonet.attester.planted": "vetonet.voting",
    "vetonet.tlog.planted": "vetonet.policy",
    "vetonet.confidential.planted": "vetonet.attestation",
    "vetonet.encoding.planted": "vetonet.units",
}
UPWARDS = {
    "vetonet.service.planted_up": "vetonet.cli",
    "vetonet.wire.planted_up": "vetonet.service",
    "vetonet.compliance.planted_up": "vetonet.storage",
    "vetonet.voting.planted_up": "vetonet.compliance",
    "vetonet.policy.planted_up": "vetonet.voting",
    "vetonet.crypto.planted_up": "vetonet.policy",
    "vetonet.encoding.planted_up": "vetonet.crypto",
    "vetonet.errors": "vetonet.encoding",
}
GENERATED = dict.fromkeys(
    (
        "vetonet.cli.planted_v1",
        "vetonet.web.planted_v1",
        "vetonet.sim.planted_v1",
        "vetonet.storage.planted_v1",
    ),
    "vetonet.v1",
)
IMPURE = {
    "vetonet.compliance.planted_io": "pathlib",
    "vetonet.voting.planted_io": "asyncio",
    "vetonet.attester.planted_io": "time",
    "vetonet.attestation.planted_io": "logging",
    "vetonet.policy.planted_io": "random",
    "vetonet.tlog.planted_io": "sqlite3",
    "vetonet.confidential.planted_io": "concurrent.futures",
    "vetonet.crypto.planted_io": "secrets",
    "vetonet.encoding.planted_io": "os.path",
    "vetonet.units": "socket",
}
PLANTED = [
    (importer, name) for group in (SIDEWAYS, UPWARDS, GENERATED, IMPURE) for importer, name in group.items()
]


def read_configuration() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_contract(contract_id: str) -> dict[str, Any]:
    contracts = read_configuration()["tool"]["importlinter"]["contracts"]
    return next(contract for contract in contracts if contract["id"] == contract_id)


def copy_tree(destination: Path) -> Path:
    """Copy what import-linter reads."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", destination / "src", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", destination)
    return destination


def plant(tree: Path, importer: str, imported: str) -> None:
    """Add an import to a module of the copy, which is made if need be."""
    path = (tree / "src" / Path(*importer.split("."))).with_suffix(".py")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{before}\nimport {imported}\n", encoding="utf-8")


def run_linter(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "lint-imports"), "--no-cache", "--no-logo"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy with every violation in it."""
    tree = copy_tree(tmp_path_factory.mktemp("planted"))
    for importer, imported in PLANTED:
        plant(tree, importer, imported)
    finished = run_linter(tree)
    assert finished.returncode == 1
    return finished.stdout


@pytest.mark.parametrize(("importer", "imported"), PLANTED)
def test_planted_import_is_seen(report: str, importer: str, imported: str) -> None:
    external = imported if imported.startswith("vetonet") else imported.split(".", maxsplit=1)[0]
    assert f"{importer} -> {external} " in report


def test_every_contract_is_broken_by_the_planted_imports(report: str) -> None:
    contracts = read_configuration()["tool"]["importlinter"]["contracts"]
    assert f"Contracts: 0 kept, {len(contracts)} broken." in report


def test_package_without_a_layer_is_seen(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path)
    (tree / "src/vetonet/homeless").mkdir()
    (tree / "src/vetonet/homeless/__init__.py").touch()
    finished = run_linter(tree)
    assert finished.returncode == 1
    assert "homeless" in finished.stdout


def test_pure_core_is_every_layer_below_wire() -> None:
    layers = read_contract("layers")["layers"]
    below = layers[layers.index("wire | storage") + 1 :]
    names = {f"vetonet.{name.strip()}" for layer in below for name in layer.split("|")}
    assert names == set(read_contract("pure-core")["source_modules"])


def run_ruff(source: str, path: str) -> str:
    finished = subprocess.run(
        [str(BIN / "ruff"), "check", "--no-cache", "--output-format=concise", "--stdin-filename", path, "-"],
        cwd=ROOT,
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.stdout


BANNED = [
    ("import time\ntime.time()", "TID251"),
    ("from time import monotonic", "TID251"),
    ("import datetime\ndatetime.datetime.now(tz=datetime.UTC)", "TID251"),
    ("from datetime import datetime\ndatetime.utcnow()", "TID251"),
    ("from datetime import date\ndate.today()", "TID251"),
    ("import os\nos.urandom(32)", "TID251"),
    ("import os\nos.environ['HOME']", "TID251"),
    ("import secrets", "TID251"),
    ("import random\nrandom.random()", "TID251"),
    ("import uuid\nuuid.uuid4()", "TID251"),
    ("with open('x') as stream:\n    stream.read()", "PTH123"),
    ("print('x')", "T201"),
]


@pytest.mark.parametrize(("source", "rule"), BANNED)
@pytest.mark.parametrize("package", ["compliance", "voting", "policy", "crypto"])
def test_banned_call_in_the_core_is_seen(package: str, source: str, rule: str) -> None:
    assert rule in run_ruff(source, f"src/vetonet/{package}/planted.py")


def test_core_may_name_a_date_it_was_given() -> None:
    source = "import datetime\nYEAR = datetime.timedelta(days=365)"
    assert "TID251" not in run_ruff(source, "src/vetonet/crypto/planted.py")


@pytest.mark.parametrize("package", ["cli", "service", "party", "storage"])
def test_edges_may_ask_the_clock(package: str) -> None:
    assert "TID251" not in run_ruff("import time\ntime.time()", f"src/vetonet/{package}/planted.py")
