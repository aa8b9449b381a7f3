"""A log with witnesses for tests: deterministic keys, cosigned checkpoints, histories that part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from vetonet.crypto.keys import Ed25519SigningKey, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.tlog.checkpoint import Checkpoint, sign_checkpoint
from vetonet.tlog.cosignature import WitnessKey, cosign
from vetonet.tlog.log import Log
from vetonet.tlog.note import LogKey, NoteSignature, SignedNote
from vetonet.tlog.policy import LogPolicy, WitnessGroup

ORIGIN: Final = "vetonet.example/log"
NOW_S: Final = 1_700_000_000
SIGNING_KEY: Final = generate_ed25519(SeededRng(b"log"))
LOG_KEY: Final = LogKey(name=ORIGIN, public_key=SIGNING_KEY.public_key)
NAMES: Final = ("w1.example", "w2.example", "w3.example", "w4.example", "w5.example")
WITNESS_SIGNING_KEYS: Final[Mapping[str, Ed25519SigningKey]] = {
    name: generate_ed25519(SeededRng(name.encode())) for name in NAMES
}
WITNESSES: Final = tuple(
    WitnessKey.of_ed25519(name, key.public_key) for name, key in WITNESS_SIGNING_KEYS.items()
)
STRANGER: Final = NoteSignature(name="stranger.example", key_id=bytes(4), signature=bytes(72))


def make_policy(threshold: int, count: int = len(NAMES)) -> LogPolicy:
    """The policy that asks for ``threshold`` of the first ``count`` witnesses."""
    quorum = WitnessGroup(threshold=threshold, members=WITNESSES[:count])
    return LogPolicy(log_keys=(LOG_KEY,), quorum=quorum)


def make_log(size: int, *, parts_at: int | None = None) -> Log:
    """A log of this many leaves; those from ``parts_at`` on are another history's."""
    common = size if parts_at is None else parts_at
    leaves = [b"leaf %d%s" % (index, b"" if index < common else b" (other)") for index in range(size)]
    return Log(ORIGIN, leaves)


def cosign_by(checkpoint: Checkpoint, name: str, timestamp_s: int = NOW_S) -> NoteSignature:
    """The line of one witness."""
    return cosign(checkpoint, name=name, signing_key=WITNESS_SIGNING_KEYS[name], timestamp_s=timestamp_s)


def make_cosigned(
    checkpoint: Checkpoint,
    names: Iterable[str] = (),
    *,
    times: Sequence[int] | None = None,
    others: Iterable[NoteSignature] = (),
) -> bytes:
    """The checkpoint signed by the log and by these witnesses at these times, then other lines."""
    note = sign_checkpoint(checkpoint, SIGNING_KEY).note
    signers = list(names)
    stamps = [NOW_S] * len(signers) if times is None else times
    lines = [cosign_by(checkpoint, name, stamp) for name, stamp in zip(signers, stamps, strict=True)]
    return SignedNote(text=note.text, signatures=(*note.signatures, *lines, *others)).to_bytes()
