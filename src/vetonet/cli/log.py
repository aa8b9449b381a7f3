"""``vetonet log``: the transparency log of a treaty, as a group of commands."""

from __future__ import annotations

import click

from vetonet.cli.log_fsck import fsck
from vetonet.cli.output import examples


@click.group(epilog=examples("vetonet log fsck trial/log --vkey log.example/trial+33d7b496+AeHTu4Q3hEIM..."))
def log() -> None:
    """Keep a transparency log, or judge one."""


log.add_command(fsck)
