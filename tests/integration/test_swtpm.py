"""The secure element of kind TPM2 against swtpm, a whole TPM 2.0 made of software; a process for each."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from support.paper_tpm import FIRMWARE, NONCE, OTHER_FIRMWARE
from support.tpm_chips import TpmChip, make_chip
from vetonet.attestation.enrolment import DeviceEnrolment
from vetonet.attestation.platform import SIMULATED, TPM2
from vetonet.attestation.tpm import COUNTER_INDEX, read_count, verify_quote
from vetonet.cli.demo.command import Performance, perform
from vetonet.compliance.bundle import Bundle
from vetonet.crypto.keys import Algorithm
from vetonet.crypto.statement import peek, read_unverified
from vetonet.errors import ConfigError, StorageError
from vetonet.sim.recorded_run import build_workload
from vetonet.storage.simulated_tpms import open_simulated_tpms
from vetonet.storage.swtpm import Swtpm
from vetonet.storage.tpm2 import Tpm2Element

tpm2_pytss = pytest.importorskip("tpm2_pytss", reason="tpm2-pytss is not installed (.ci/install-tpm)")
pytestmark = pytest.mark.skipif(shutil.which("swtpm") is None, reason="swtpm is not installed")

SEED = b"s" * 32
Open = Callable[[str], Tpm2Element]


@pytest.fixture
def open_tpm(tmp_path: Path) -> Iterator[Open]:
    """Open the TPM whose state lies in a folder of this name; all of them end with the test."""
    with ExitStack() as stack:

        def open_one(name: str) -> Tpm2Element:
            element = Tpm2Element.open(stack.enter_context(Swtpm.start(tmp_path / name)))
            stack.callback(element.close)
            return element

        yield open_one


def count_of(element: Tpm2Element) -> int:
    return read_count(element.advance(NONCE), element.public_key, nonce=NONCE)


def power_off(element: Tpm2Element) -> None:
    element.close()
    channel = element._channel
    assert isinstance(channel, Swtpm)
    channel.stop()


def test_key_quote_and_count_are_what_the_verifier_reads(open_tpm: Open) -> None:  # VN-17.1
    element = open_tpm("a")
    alias = element.start(FIRMWARE, SEED)
    verify_quote(element.quote(NONCE), element.public_key, nonce=NONCE, firmware_digest=FIRMWARE)
    assert count_of(element) < count_of(element)
    for key in (element, alias):
        assert key.public_key.algorithm is Algorithm.ES256
        for size in (0, 1, 1024, 1025, 5000):
            key.public_key.verify(b"x" * size, key.sign(b"x" * size))


def test_the_device_key_and_the_count_survive_a_loss_of_power_and_the_alias_key_does_not(
    open_tpm: Open,
) -> None:
    element = open_tpm("a")
    device_key, alias = element.public_key, element.start(FIRMWARE, SEED)
    before = count_of(element)
    again = element.start(OTHER_FIRMWARE, SEED)
    assert again.public_key != alias.public_key
    verify_quote(element.quote(NONCE), device_key, nonce=NONCE, firmware_digest=OTHER_FIRMWARE)
    with pytest.raises(StorageError):
        alias.sign(b"report")
    power_off(element)
    element = open_tpm("a")
    assert element.public_key == device_key
    assert count_of(element) > before


def test_power_loss_without_a_shutdown_loses_no_count(open_tpm: Open) -> None:
    element = open_tpm("a")
    before = [count_of(element) for _ in range(3)][-1]
    channel = element._channel
    assert isinstance(channel, Swtpm)
    channel.reset()  # no TPM2_Shutdown before it
    element._esys.startup(tpm2_pytss.TPM2_SU.CLEAR)
    assert count_of(element) > before


def test_the_device_key_signs_nothing_that_looks_like_the_tpms_own_word(open_tpm: Open) -> None:  # VN-17.1
    with pytest.raises(StorageError, match="ticket"):
        open_tpm("a").sign(b"\xffTCG" + b"a forged quote")


def test_the_alias_key_signs_only_while_its_firmware_alone_is_measured(open_tpm: Open) -> None:  # VN-17.1
    element = open_tpm("a")
    alias = element.start(FIRMWARE, SEED)
    alias.sign(b"report")
    digests = tpm2_pytss.TPML_DIGEST_VALUES(
        [tpm2_pytss.TPMT_HA(hashAlg=tpm2_pytss.TPM2_ALG.SHA256, digest=tpm2_pytss.TPMU_HA(sha256=b"e" * 32))]
    )
    element._esys.pcr_extend(tpm2_pytss.ESYS_TR(8), digests)
    with pytest.raises(StorageError, match="policy"):
        alias.sign(b"report")


def test_a_counter_that_is_deleted_and_defined_anew_goes_on_above(open_tpm: Open) -> None:  # VN-17.1
    element = open_tpm("a")
    before = [count_of(element) for _ in range(5)][-1]
    element._esys.nv_undefine_space(element._esys.tr_from_tpmpublic(COUNTER_INDEX))
    power_off(element)
    assert count_of(open_tpm("a")) > before


def test_another_tpm_has_another_key(open_tpm: Open) -> None:
    assert open_tpm("a").public_key != open_tpm("b").public_key


def hand_over(made: TpmChip, element: Tpm2Element) -> None:
    """The chip, which kept its own state, starts with this TPM."""
    made.chip = replace(made.chip, secure_element=element)
    made.start()


def test_a_state_directory_that_is_put_back_shows_in_the_count(open_tpm: Open, tmp_path: Path) -> None:
    """The chip's own state went on, so only the TPM tells."""
    element = open_tpm("a")
    made = make_chip(element)
    made.report(2)
    power_off(element)
    shutil.copytree(tmp_path / "a", tmp_path / "kept", ignore=shutil.ignore_patterns(".lock"))
    hand_over(made, element := open_tpm("a"))
    made.report(3)
    assert made.appraise() == ()
    power_off(element)
    shutil.rmtree(tmp_path / "a")
    shutil.copytree(tmp_path / "kept", tmp_path / "a")
    hand_over(made, open_tpm("a"))
    made.report()
    assert made.tell() == ["counter-rollback"]


def test_a_copied_state_directory_gives_one_count_to_two_reports(open_tpm: Open, tmp_path: Path) -> None:
    element = open_tpm("a")
    made = make_chip(element)
    made.report(2)
    power_off(element)
    shutil.copytree(tmp_path / "a", tmp_path / "b", ignore=shutil.ignore_patterns(".lock"))
    hand_over(made, open_tpm("a"))
    made.report()
    hand_over(made, open_tpm("b"))
    made.report()
    assert made.tell() == ["counter-fork"]


def test_a_tpm_that_ended_is_a_storage_error(open_tpm: Open) -> None:
    element = open_tpm("a")
    channel = element._channel
    assert isinstance(channel, Swtpm)
    channel._process.kill()
    with pytest.raises(StorageError, match="does not answer"):
        element.quote(NONCE)


def test_one_state_directory_has_one_tpm_at_a_time(open_tpm: Open) -> None:
    open_tpm("a")
    with pytest.raises(StorageError, match="another process has its state"):
        open_tpm("a")


def test_no_process_outlives_its_maker(tmp_path: Path) -> None:
    channels: list[object] = []

    def fail() -> None:
        with open_simulated_tpms(tmp_path, 2) as elements:
            channels.extend(element._channel for element in elements)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(channels) == 2
    for channel in channels:
        assert isinstance(channel, Swtpm)
        assert channel._process.poll() == 0
    swtpm = Swtpm.start(tmp_path / "orphan")
    swtpm._data.close()  # as the system does it, whatever ends this process
    assert swtpm._process.wait(5) == 0
    swtpm._control.close()


def test_a_tcti_string_names_a_tpm_that_starts_once_for_each_reset_of_its_machine(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # short, as addresses of sockets must be
        address = f"{folder}/tpm"
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={tmp_path}"]
        ends = ["--server", f"type=unixio,path={address}", "--ctrl", f"type=unixio,path={address}.ctrl"]
        flags = ["--flags", "not-need-init,startup-clear"]
        with subprocess.Popen([*command, *ends, *flags], stderr=subprocess.DEVNULL) as process:
            try:
                element = connect_within(f"swtpm:path={address}", 10)
                element.start(FIRMWARE, SEED)
                verify_quote(element.quote(NONCE), element.public_key, nonce=NONCE, firmware_digest=FIRMWARE)
                with pytest.raises(StorageError, match="since its last reset"):
                    element.start(FIRMWARE, SEED)
                element.close()
            finally:
                process.terminate()
        with pytest.raises(StorageError):
            Tpm2Element.connect(f"swtpm:path={address}")


def connect_within(tcti: str, seconds: float) -> Tpm2Element:
    end = time.monotonic() + seconds
    while True:
        try:
            return Tpm2Element.connect(tcti)
        except StorageError:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def test_without_swtpm_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs swtpm and tpm2-pytss"):
        Swtpm.start(tmp_path / "a")


def test_the_same_demonstration_passes_with_tpms_as_with_software_keys() -> None:
    played = [
        asyncio.run(perform(7, build_workload(), chips=20, secure_element=kind))
        for kind in ("software", "tpm2")
    ]
    outcomes = [{scene.name: (scene.outcome, scene.detail) for scene in one.scenes} for one in played]
    assert all(one.is_as_expected for one in played), outcomes
    assert outcomes[0] == outcomes[1]
    assert "20 chips enrolled" in outcomes[1]["found"][1]
    kinds = [
        {read_unverified(leaf, DeviceEnrolment).attester_kind for leaf in list_enrolments(one)}
        for one in played
    ]
    assert kinds == [{SIMULATED}, {TPM2}]
    assert played[0].trust_root != played[1].trust_root


def list_enrolments(played: Performance) -> list[bytes]:
    leaves = Bundle.from_bytes(played.bundle).leaves
    return [leaf for leaf in leaves if peek(leaf).kind == DeviceEnrolment.TYPE]
