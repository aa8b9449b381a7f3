"""Simulated TPMs: one swtpm process for each, over a state directory, which ends when its maker does."""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from vetonet.errors import INSTALL_TPM, ConfigError, StorageError

COMMAND_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0
_HEAD_BYTES: Final = 10  # tag, size, code (TPM 2.0 Library, part 1 section 18.2)
_MAX_RESPONSE_BYTES: Final = 4096
_CMD_INIT: Final = struct.pack(">II", 2, 0)  # of swtpm's control channel: power off and on
_OK: Final = bytes(4)


def find_swtpm() -> str:
    """Return where the program is.

    Raises:
        ConfigError: swtpm is not installed.
    """
    program = shutil.which("swtpm")
    if program is None:
        raise ConfigError(f"needs swtpm and tpm2-pytss, for which run {INSTALL_TPM}")
    return program


class Swtpm:
    """A TPM made of software, for trials and tests: it is as safe as its state directory, so not at all.

    No other process can reach it: both channels are socket pairs, and it ends when our ends close, however
    this process dies.
    """

    __slots__ = ("_control", "_data", "_process")

    def __init__(self, process: subprocess.Popen[bytes], data: socket.socket, control: socket.socket) -> None:
        self._process: Final = process
        self._data: Final = data
        self._control: Final = control

    @classmethod
    def start(cls, state: Path) -> Swtpm:
        """Return a TPM with power, over the state that the directory holds, or a new one.

        Raises:
            ConfigError: swtpm is not installed.
            StorageError: the directory cannot be made, or the process cannot be started.
        """
        program = find_swtpm()
        pairs = socket.socketpair(), socket.socketpair()
        (data, its_data), (control, its_control) = pairs
        try:
            state.mkdir(parents=True, exist_ok=True, mode=0o700)
            process = subprocess.Popen(  # noqa: S603  (fixed arguments, the program as the PATH has it)
                [
                    *(program, "socket", "--tpm2", "--terminate", "--flags", "not-need-init"),
                    *("--tpmstate", f"dir={state}"),
                    *("--fd", str(its_data.fileno())),
                    *("--ctrl", f"type=unixio,clientfd={its_control.fileno()}"),
                ],
                pass_fds=(its_data.fileno(), its_control.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            data.close()
            control.close()
            raise StorageError(f"cannot start a TPM over {state}: {error}") from error
        finally:
            its_data.close()
            its_control.close()
        for channel in (data, control):
            channel.settimeout(COMMAND_TIMEOUT_S)
        return cls(process, data, control)

    def transact(self, command: bytes) -> bytes:
        """Return the TPM's response to a command.

        Raises:
            StorageError: it does not answer, or not with a response.
        """
        try:
            self._data.sendall(command)
            head = _receive(self._data, _HEAD_BYTES)
            size = int.from_bytes(head[2:6], "big")
            if not _HEAD_BYTES <= size <= _MAX_RESPONSE_BYTES:
                raise StorageError(f"the TPM's answer claims to have {size} bytes")
            return head + _receive(self._data, size - _HEAD_BYTES)
        except OSError as error:
            raise StorageError(f"the TPM does not answer: {error}") from error

    def reset(self) -> None:
        """Take its power away and give it back: only its state directory keeps anything.

        Raises:
            StorageError: it does not answer, or failed.
        """
        try:
            self._control.sendall(_CMD_INIT)
            answer = _receive(self._control, len(_OK))
        except OSError as error:
            raise StorageError(f"the TPM does not answer: {error}") from error
        if answer != _OK:
            raise StorageError(f"the TPM cannot be reset: code {answer.hex()}")

    def stop(self) -> None:
        """It has ended, and let its state directory go."""
        self._data.close()
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
            return
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        """Return itself: ``stop`` comes at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


def _receive(channel: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = channel.recv(size - len(received))
        if not part:
            raise StorageError("the TPM has ended; is its state directory in use, or damaged?")
        received += part
    return received
