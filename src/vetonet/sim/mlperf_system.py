"""The system description beside an MLPerf result: how many accelerators, and of which model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vetonet.attester.models import ChipModel, find_chip_model
from vetonet.errors import ConfigError
from vetonet.sim.numbers_exact import (
    MAX_TEXT_BYTES,
    Place,
    decimal_from_text,
    integer_from,
    json_object_from_text,
)

_MAX_NODES: Final = 10**6
_MAX_ACCELERATORS_PER_NODE: Final = 10**4


@dataclass(frozen=True, slots=True, kw_only=True)
class MlperfSystem:
    """The system description that accompanies a result.

    Attributes:
        name: the file it was read from.
        system_name: as the submitter names it.
        nodes: number of hosts.
        accelerators_per_node: accelerators in each.
        chip: the accelerator model, from vetonet's table.

    """

    name: str
    system_name: str
    nodes: int
    accelerators_per_node: int
    chip: ChipModel

    @property
    def chips(self) -> int:
        """All accelerators of the system."""
        return self.nodes * self.accelerators_per_node


def parse_system(text: str, *, name: str) -> MlperfSystem:
    """Return the system that a description in JSON states.

    Args:
        text: the JSON document.
        name: the file's name, for messages.

    Raises:
        ConfigError: malformed, a count that is not a number, or an accelerator that the table does not have.

    """
    top = Place(name=name, line=1)
    if len(text) > MAX_TEXT_BYTES:
        raise top.refuse(expected=f"a description of at most {MAX_TEXT_BYTES} bytes", got=len(text))
    members = json_object_from_text(text, top)
    model_name = _text_member(members, "accelerator_model_name", text, name)
    try:
        chip = find_chip_model(model_name)
    except ConfigError as error:
        place = _place_of_member("accelerator_model_name", text, name)
        raise ConfigError(f"{place.name}:{place.line}: {error}") from error
    return MlperfSystem(
        name=name,
        system_name=_text_member(members, "system_name", text, name),
        nodes=_count_member(members, "number_of_nodes", _MAX_NODES, text, name),
        accelerators_per_node=_count_member(
            members, "accelerators_per_node", _MAX_ACCELERATORS_PER_NODE, text, name
        ),
        chip=chip,
    )


def _place_of_member(key: str, text: str, name: str) -> Place:
    """Return the line where a member is named first, or line 1."""
    offset = text.find(f'"{key}"')
    return Place(name=name, line=text.count("\n", 0, max(offset, 0)) + 1)


def _text_member(members: dict[str, object], key: str, text: str, name: str) -> str:
    """Return a member that is a non-empty string."""
    value = members.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _place_of_member(key, text, name).refuse(expected=f"{key} as text", got=value)
    return value


def _count_member(members: dict[str, object], key: str, high: int, text: str, name: str) -> int:
    """Return a count, which submitters write as a number or as a string of digits."""
    place = _place_of_member(key, text, name)
    value = members.get(key)
    if isinstance(value, str):
        value = decimal_from_text(value, place, key)
    return integer_from(value, place, key, low=1, high=high)
