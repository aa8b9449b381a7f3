"""Who takes part in the demonstration, and where everything of each is."""

from __future__ import annotations

from pathlib import Path

from vetonet.cli.council.council import Council
from vetonet.cli.council.stage import Seat, Stage
from vetonet.cli.files import PRIVATE_FOLDER_MODE, make_folder
from vetonet.cli.party_fleet import find_ports


def cast(count: int, root: Path, *, is_small: bool) -> Council:
    """Return a council of so many parties that has not begun; a small one replaces one member, not two."""
    replaced = 1 if is_small else 2
    founders = tuple(f"P{number}" for number in range(1, count + 1))
    newcomers = tuple(f"P{number}" for number in range(count + 1, count + 1 + replaced))
    coordinator, *ports = find_ports(1 + 3 * (count + replaced))
    make_folder(root / "keys", mode=PRIVATE_FOLDER_MODE)
    make_folder(root / "homes", mode=PRIVATE_FOLDER_MODE)
    seats = {
        name: Seat(
            party_id=name,
            home=root / "homes" / name,
            key_file=root / "keys" / f"{name}.key",
            address=ports[3 * place],
            ceremony=ports[3 * place + 1],
            witness=ports[3 * place + 2] if name in founders else "",
        )
        for place, name in enumerate((*founders, *newcomers))
    }
    return Council(
        stage=Stage(root=root, coordinator=coordinator, seats=seats),
        founders=founders,
        newcomers=newcomers,
        leavers=founders[-1 - replaced : -1],
        window="4s" if is_small else "12s",
        long_window="10s" if is_small else "25s",
    )
