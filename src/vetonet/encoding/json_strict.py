"""JSON that others wrote, read so that it means one thing (RFC 8259; I-JSON, RFC 7493, says why).

What stands in a file of trust anchors must not depend on who reads it: readers differ in which of two members
with one name they keep, and in whether NaN is a number.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from vetonet.errors import EncodingError

MAX_DEPTH: Final = 64


def read_json(data: bytes, max_bytes: int) -> Any:
    """Return the value that UTF-8 text spells.

    Raises:
        EncodingError: too large, nested more than 64 deep, or no JSON, as with one name twice in an object,
            or with a number that is none or infinite.
    """
    if len(data) > max_bytes:
        raise EncodingError(f"expected JSON of at most {max_bytes} bytes, got {len(data)}")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_build_object,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
        )
    except (ValueError, RecursionError) as error:
        raise EncodingError(f"not JSON: {str(error)[:80]}") from error
    _verify_depth(value)
    return value


def _build_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object whose members are all different."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that stands twice in one object")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value


def _verify_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [part for parent in level for part in _list_containers(parent)]
        if not level:
            return
    raise EncodingError(f"expected JSON at most {MAX_DEPTH} deep")


def _list_containers(parent: object) -> list[object]:
    parts = parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ()
    return [part for part in parts if isinstance(part, (dict, list))]
