"""Treaties that come with vetonet, as files to begin from; each says what in it is our reading."""

from __future__ import annotations

from importlib import resources
from typing import Final

from vetonet.errors import ConfigError
from vetonet.party.toml_reading import spell_value, suggest

_SUFFIX: Final = ".toml"


def list_presets() -> tuple[str, ...]:
    """Return the names of the presets, sorted."""
    files = (resources.files("vetonet.party") / "presets").iterdir()
    return tuple(sorted(f.name.removesuffix(_SUFFIX) for f in files if f.name.endswith(_SUFFIX)))


def read_preset(name: str) -> str:
    """Return the text of a preset.

    Raises:
        ConfigError: there is none of this name.
    """
    known = list_presets()
    if name not in known:
        raise ConfigError(f"no preset {spell_value(name)}; {suggest(name, known)}")
    return (resources.files("vetonet.party") / "presets" / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
