"""Coverage-guided fuzzing of the parsers that meet strangers' bytes, with atheris; `make fuzz` runs it.

Whatever is raised but a VetonetError is a find, written to a file below --out. Seeds are generated, not
kept. The tests beside this file try the same parsers on each `make test`; this digs for longer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("vetonet: guided fuzzing needs atheris: run `make fuzz` (Linux on x86-64, Python 3.11 to 3.13)")

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

with atheris.instrument_imports(include=["vetonet"]):
    from support.fuzz_targets import TARGETS
    from vetonet.errors import VetonetError

MAX_INPUT_BYTES = 16 * 1024


def try_all(name: str, data: bytes) -> None:
    """Every parser of the group gives a value or refuses; anything else it raises goes to the fuzzer."""
    for parse in TARGETS[name].parsers:
        try:
            parse(data)
        except VetonetError:
            continue


def fuzz(name: str, seconds: int, out: Path) -> None:
    """Dig into one group; the process ends when the time is over, or with a find."""
    corpus = Path(tempfile.mkdtemp(prefix=f"vetonet-fuzz-{name}-"))
    for number, seed in enumerate(TARGETS[name].list_seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    out.mkdir(parents=True, exist_ok=True)
    limits = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT_BYTES}",
        "-timeout=10",
        "-rss_limit_mb=4096",
    ]
    options = [*limits, f"-artifact_prefix={out}/{name}-", "-print_final_stats=1", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: try_all(name, data))
    atheris.Fuzz()


def main(arguments: Sequence[str]) -> None:
    """Fuzz one group, or try one file on it."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="how long to dig (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("fuzz-finds"), help="where finds are written")
    parser.add_argument("--input", type=Path, help="only try this file, such as a find")
    chosen = parser.parse_args(arguments)
    if chosen.input is not None:
        try_all(chosen.target, chosen.input.read_bytes())
        sys.stdout.write(f"{chosen.input}: a value or a refusal, as it should be\n")
        return
    fuzz(chosen.target, chosen.seconds, chosen.out)


if __name__ == "__main__":
    main(sys.argv[1:])
