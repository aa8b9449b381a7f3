"""The transcript of Merlin (merlin.cool): STROBE-128 over Keccak-f[1600], as far as Merlin needs it.

Written from the specifications of Merlin 1.0, STROBE 1.0.2 and FIPS 202, so that our verifier can be asked
about proofs that others made with Merlin. Slow, and for tests only.
"""

from __future__ import annotations

MASK = 2**64 - 1
RATE = 166  # of STROBE-128: 200 - 128 / 4 bytes, less two for padding
META, INBOUND, APPLICATION, CIPHER, KEYED = 16, 1, 2, 4, 32


def rotate(lane: int, count: int) -> int:
    return (lane << count | lane >> 64 - count) & MASK if count else lane


def list_round_constants() -> list[int]:
    """Derive the constants of iota from the linear feedback shift register (FIPS 202, algorithm 5)."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant ^= 1 << (1 << power) - 1
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return constants


def list_rotations() -> list[tuple[int, int]]:
    """Walk rho and pi: the lane that each lane moves to, and how far it turns (FIPS 202, 3.2.2 and 3.2.3)."""
    x, y, moves = 1, 0, []
    for step in range(24):
        x, y = y, (2 * x + 3 * y) % 5
        moves.append((x + 5 * y, (step + 1) * (step + 2) // 2 % 64))
    return moves


CONSTANTS = list_round_constants()
MOVES = list_rotations()


def permute(state: bytes) -> bytes:
    """Return Keccak-f[1600] of 200 bytes (FIPS 202, section 3.3)."""
    lanes = [int.from_bytes(state[start : start + 8], "little") for start in range(0, 200, 8)]
    for constant in CONSTANTS:
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        mixed = [columns[x - 1] ^ rotate(columns[(x + 1) % 5], 1) for x in range(5)]
        lanes = [lane ^ mixed[index % 5] for index, lane in enumerate(lanes)]
        moving = lanes[1]
        for place, count in MOVES:
            moving, lanes[place] = lanes[place], rotate(moving, count)
        for row in range(0, 25, 5):
            line = lanes[row : row + 5]
            lanes[row : row + 5] = [
                line[x] ^ (~line[(x + 1) % 5] & line[(x + 2) % 5] & MASK) for x in range(5)
            ]
        lanes[0] ^= constant
    return b"".join(lane.to_bytes(8, "little") for lane in lanes)


class Strobe:
    """STROBE-128 with the operations AD, meta-AD and PRF."""

    def __init__(self, label: bytes) -> None:
        start = bytes([1, RATE + 2, 1, 0, 1, 96]) + b"STROBEv1.0.2"
        self.state = bytearray(permute(start.ljust(200, b"\0")))
        self.place = self.begin = self.flags = 0
        self.meta_ad(label, more=False)

    def meta_ad(self, data: bytes, *, more: bool) -> None:
        self._begin(META | APPLICATION, more=more)
        self._absorb(data)

    def ad(self, data: bytes) -> None:
        self._begin(APPLICATION, more=False)
        self._absorb(data)

    def prf(self, size: int) -> bytes:
        self._begin(INBOUND | APPLICATION | CIPHER, more=False)
        output = bytearray()
        for _ in range(size):
            output.append(self.state[self.place])
            self.state[self.place] = 0
            self._advance()
        return bytes(output)

    def copy(self) -> Strobe:
        twin = object.__new__(Strobe)
        twin.state = bytearray(self.state)
        twin.place, twin.begin, twin.flags = self.place, self.begin, self.flags
        return twin

    def _begin(self, flags: int, *, more: bool) -> None:
        if more:
            assert flags == self.flags
            return
        earlier, self.begin, self.flags = self.begin, self.place + 1, flags
        self._absorb(bytes([earlier, flags]))
        if flags & (CIPHER | KEYED) and self.place:
            self._run()

    def _absorb(self, data: bytes) -> None:
        for byte in data:
            self.state[self.place] ^= byte
            self._advance()

    def _advance(self) -> None:
        self.place += 1
        if self.place == RATE:
            self._run()

    def _run(self) -> None:
        self.state[self.place] ^= self.begin
        self.state[self.place + 1] ^= 0x04
        self.state[RATE + 1] ^= 0x80
        self.state = bytearray(permute(bytes(self.state)))
        self.place = self.begin = 0


class MerlinTranscript:
    """A Merlin transcript whose challenges are scalars of a group: 64 bytes, little-endian, reduced."""

    def __init__(self, label: bytes, order: int) -> None:
        self.strobe, self.order = Strobe(b"Merlin v1.0"), order
        self.append(b"dom-sep", label)

    def append(self, label: bytes, data: bytes) -> None:
        self._announce(label, len(data))
        self.strobe.ad(data)

    def compute_bytes(self, label: bytes, size: int) -> bytes:
        self._announce(label, size)
        return self.strobe.prf(size)

    def compute_challenge(self, label: bytes) -> int:
        return int.from_bytes(self.compute_bytes(label, 64), "little") % self.order

    def copy(self) -> MerlinTranscript:
        twin = object.__new__(MerlinTranscript)
        twin.strobe, twin.order = self.strobe.copy(), self.order
        return twin

    def _announce(self, label: bytes, size: int) -> None:
        self.strobe.meta_ad(label, more=False)
        self.strobe.meta_ad(size.to_bytes(4, "little"), more=True)
