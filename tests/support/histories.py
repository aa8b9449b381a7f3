"""Logs that grow, and logs that lie: every checkpoint and request that a witness may be shown of them."""

from __future__ import annotations

from dataclasses import dataclass

from vetonet.crypto.keys import Ed25519SigningKey, generate_ed25519
from vetonet.crypto.rng import SeededRng
from vetonet.tlog.add_checkpoint import AddCheckpoint
from vetonet.tlog.checkpoint import SignedCheckpoint, sign_checkpoint
from vetonet.tlog.log import Log
from vetonet.tlog.note import LogKey

ORIGIN = "vetonet.example/log"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One history of a log, with the key that signs it."""

    log: Log
    key: Ed25519SigningKey

    @property
    def log_key(self) -> LogKey:
        return LogKey(name=self.log.origin, public_key=self.key.public_key)

    def sign(self, size: int) -> SignedCheckpoint:
        return sign_checkpoint(self.log.checkpoint(size), self.key)

    def ask(self, old_size: int, size: int) -> AddCheckpoint:
        """Return the request of an honest log."""
        proof = () if old_size in {0, size} else self.log.consistency_proof(old_size, size).hashes
        return AddCheckpoint(old_size=old_size, proof=proof, signed=self.sign(size))

    def body(self, old_size: int, size: int) -> bytes:
        return self.ask(old_size, size).to_bytes()

    def fork(self, shared_leaves: int, label: str = "fork") -> History:
        """Return another history with the same key, which begins with the same leaves."""
        count = self.log.tree_size
        same = [self.log.leaf(index) for index in range(shared_leaves)]
        other = [f"{label} {index}".encode() for index in range(shared_leaves, count)]
        return History(log=Log(self.log.origin, same + other), key=self.key)


def make_history(count: int = 12, *, origin: str = ORIGIN) -> History:
    """Return a log of this many leaves; the key follows from the origin."""
    leaves = [f"leaf {index}".encode() for index in range(count)]
    return History(log=Log(origin, leaves), key=generate_ed25519(SeededRng(origin.encode())))
