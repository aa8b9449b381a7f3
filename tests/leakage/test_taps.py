"""The taps themselves: what leaks on purpose, through each channel, is caught and named."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
import pytest

from support.leak_plugin import leaks_expected
from support.leak_taps import TAPS, is_public_file
from support.twins import make_ground
from vetonet.attester.account import Account
from vetonet.compliance.bundle import assemble_bundle
from vetonet.crypto import cose
from vetonet.crypto.frost import Scalar, generate_round1
from vetonet.crypto.frost.keys import Identifier
from vetonet.crypto.frost.nonces import SigningNonces
from vetonet.crypto.hpke import HpkePrivateKey
from vetonet.crypto.keys import Ed25519SigningKey, generate_ecdsa, generate_ed25519
from vetonet.crypto.pedersen import Opening, generate_blinding
from vetonet.crypto.rng import SeededRng
from vetonet.encoding import cbor
from vetonet.errors import EncodingError, Problem, RefusedError
from vetonet.policy.disclosure import DisclosureAnswer
from vetonet.policy.specification import FieldName, Specification
from vetonet.storage.journal import Record

RNG: Final = SeededRng(b"leaks on purpose")
KEY: Final = generate_ed25519(RNG)
SEED: Final = KEY.seed


def log_a_line(data: bytes) -> None:
    logging.getLogger("vetonet.somewhere").warning("cannot use %s", data.hex())


def log_an_exception(data: bytes) -> None:
    try:
        raise ValueError(data)  # noqa: TRY301
    except ValueError:
        logging.getLogger("vetonet.somewhere").exception("failed")


def call(data: bytes) -> None:
    async def run() -> None:
        async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary("/vetonet.v1.Nothing/Nothing", lambda message: message)(
                    data, timeout=1, wait_for_ready=False
                )

    asyncio.run(run())


def say_on_stderr(data: bytes) -> None:
    program = f"import sys; sys.stderr.write({base64.b64encode(data).decode()!r})"
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)


CHANNELS: Final[Mapping[str, Callable[[bytes], object]]] = {
    "record leaf": lambda data: Record(kind="leaf", request_id=None, payload=data, recorded_at_ms=0),
    "request": call,
    "bundle": lambda data: assemble_bundle((b"treaty", data), b"note", (), ()).to_bytes(),
    "signed statement": lambda data: cose.sign1(data, {cose.LABEL_ALG: -8}, KEY),
    "log line": log_a_line,
    "log line of vetonet.somewhere": log_an_exception,
    "error EncodingError": lambda data: EncodingError(f"got {data!r}"),
    "error RefusedError": lambda data: RefusedError(f"{data.hex().upper()}", culprit="op1"),
    "problem": lambda data: Problem(reason="report-forged", detail=data.hex()),
    "standard error": say_on_stderr,
}


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("encode", [bytes, gzip.compress, base64.b64encode], ids=["raw", "gzip", "base64"])
def test_a_secret_that_gets_out_is_caught(channel: str, encode: Callable[[bytes], bytes]) -> None:
    with leaks_expected() as leaks:
        CHANNELS[channel](encode(SEED))
    assert [leak.channel.startswith(channel) for leak in leaks] == [True]
    assert "Ed25519 seed" in str(leaks[0])
    assert SEED.hex() not in str(leaks[0])


@pytest.mark.parametrize("name", ["bundle.vetonet", "journal.sqlite3", "journal.sqlite3-wal", "notes.txt"])
def test_a_secret_in_a_file_is_caught(tmp_path: Path, name: str) -> None:
    content = b"SQLite format 3\0" + SEED if name.startswith("journal") else SEED
    (tmp_path / name).write_bytes(content)
    (tmp_path / name).chmod(0o600 if name.startswith("journal") else 0o644)
    with leaks_expected() as leaks:
        TAPS.read_files(tmp_path)
        (tmp_path / name).unlink()
    assert [leak.channel for leak in leaks] == [f"file {name}"]


def test_an_owners_own_secret_file_is_no_leak(tmp_path: Path) -> None:
    path = tmp_path / "party.key"
    path.write_bytes(SEED)
    path.chmod(0o600)
    assert not is_public_file(path)
    path.chmod(0o640)
    assert is_public_file(path)
    path.unlink()


def _make_blinding() -> bytes:
    return Opening(value=1, blinding=generate_blinding(RNG)).blinding


def _make_nonce() -> bytes:
    nonces = SigningNonces(identifier=Identifier(1), hiding=_draw_scalar(), binding=_draw_scalar())
    return bytes(nonces._unspent[0][32:])


def _draw_scalar() -> Scalar:
    return Scalar(int.from_bytes(RNG(31), "little"))


def _make_coefficient() -> bytes:
    secret, _ = generate_round1(
        identifier=Identifier(1), min_signers=2, max_signers=3, context=b"leak", rng=RNG
    )
    return secret.coefficients[1].to_bytes(32, "little")


def _make_specification() -> Specification:
    return Specification.generate({"codename": b"small-sparrow", FieldName.DATA: b"web crawl 7, 2.1e12"}, RNG)


def _make_chip_secret() -> bytes:
    (chip, _) = make_ground().fleet._chips
    return replace(chip, secret=RNG(32)).secret


MADE: Final[Mapping[str, Callable[[], bytes]]] = {
    "Ed25519 seed": lambda: Ed25519SigningKey(seed=RNG(32)).seed,
    "ECDSA key": lambda: generate_ecdsa(RNG).private_key.private_numbers().private_value.to_bytes(32, "big"),
    "HPKE key": lambda: HpkePrivateKey(seed=RNG(32)).seed,
    "blinding": _make_blinding,
    "signing nonces": _make_nonce,
    "polynomial": _make_coefficient,
    "specification": lambda: _make_specification().fields[1].value,
    "secret of a specification": lambda: _make_specification().secret,
    "salt of a specification": lambda: _make_specification().open_field("codename").salt,
    "chip secret": _make_chip_secret,
    "exact count of FLOP": lambda: cbor.to_bytes(
        [Account(licence_id=None, flop=98_765_432_109_876_543_211).flop]
    ),
    "committed count": lambda: str(
        Opening(value=1_234_567_890_123_457, blinding=generate_blinding(RNG)).value
    ).encode(),
}


def test_a_scalar_that_gets_out_in_decimal_is_caught() -> None:
    with leaks_expected() as leaks:
        RefusedError(f"got {int.from_bytes(SEED, 'little')}")
    assert [leak.channel for leak in leaks] == ["error RefusedError"]


@pytest.mark.parametrize("name", MADE)
def test_every_secret_is_listed_as_it_comes_into_being(name: str) -> None:
    with leaks_expected() as leaks:
        TAPS.record("anywhere", b"before" + MADE[name]() + b"after")
    assert [leak.finding.canary.rsplit(" no. ")[0] for leak in leaks] == [name]


def test_what_an_owner_shows_by_the_protocol_is_no_leak_and_the_rest_still_is() -> None:
    specification = _make_specification()
    shown, kept = specification.open_field("codename"), specification.open_field(FieldName.DATA.value)
    fields = {"treaty_digest": bytes(32), "epoch": 1, "operator_id": "op1", "challenge_digest": bytes(32)}
    with leaks_expected() as leaks:
        answer = DisclosureAnswer(opening=shown, **fields)  # type: ignore[arg-type]
        TAPS.record("anywhere", answer.to_bytes())
    assert leaks == []
    with leaks_expected() as leaks:
        TAPS.record("anywhere", kept.to_bytes())
    assert sorted(leak.finding.canary.rsplit(" no. ")[0] for leak in leaks) == [
        "salt of a specification",
        "specification",
    ]


def test_a_secret_that_nobody_holds_any_more_is_not_looked_for_in_the_next_test() -> None:
    value = hashlib.sha256(b"gone").digest()
    TAPS.list_secret("gone", value, object())
    TAPS.forget_the_dead()
    with leaks_expected() as leaks:
        TAPS.record("anywhere", value)
    assert leaks == []


def test_a_secret_of_a_stream_that_another_test_draws_from_too_is_no_leak_when_that_shows_it() -> None:
    key = generate_ed25519(SeededRng(b"a stream of two tests"))
    with leaks_expected() as leaks:
        TAPS.record("anywhere", key.seed)
    assert len(leaks) == 1
    drawn = SeededRng(b"a stream of two tests")(32)
    with leaks_expected() as leaks:
        TAPS.record("anywhere", drawn)
    assert (drawn, leaks) == (key.seed, [])


LEAKING_TEST: Final = """
import logging
from vetonet.crypto.keys import Ed25519SigningKey

def test_that_says_nothing_of_secrets():
    key = Ed25519SigningKey(seed=bytes(number * number % 251 for number in range(100, 132)))
    logging.getLogger("vetonet").error("no key %s", key.seed.hex().upper())

def test_that_keeps_them():
    Ed25519SigningKey(seed=bytes(number * number % 251 for number in range(100, 132)))
"""


def test_a_test_in_which_a_secret_gets_out_fails(tmp_path: Path) -> None:
    support = Path(__file__).parents[1]
    (tmp_path / "conftest.py").write_text(
        "from support.leak_plugin import activate\ndef pytest_configure(config): activate(config)\n"
    )
    (tmp_path / "test_leaking.py").write_text(LEAKING_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    paths = f"pythonpath={support} {support.parent / 'src'}"
    ran = subprocess.run(
        [*command, "-o", paths, "-c", "/dev/null", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "2 passed, 1 error" in ran.stdout
    assert "log line of vetonet: Ed25519 seed no. 1 as hex > raw" in ran.stdout
