"""``vetonet log``: transparency logs, as a group of commands."""

from __future__ import annotations

import click

from vetonet.cli.log_append import append
from vetonet.cli.log_fsck import fsck
from vetonet.cli.log_proof import export, proof
from vetonet.cli.log_serve import key, serve
from vetonet.cli.output import examples


@click.group(
    epilog=examples(
        "vetonet log key --out log-key.pem --origin log.example/trial",
        "vetonet log serve --data log --key log-key.pem --origin log.example/trial",
        "vetonet log fsck log --vkey log.example/trial+33d7b496+AeHTu4Q3hEIM...",
    )
)
def log() -> None:
    """Keep a transparency log, prove what is in it, or judge one."""


for command in (key, serve, append, export, proof, fsck):
    log.add_command(command)
