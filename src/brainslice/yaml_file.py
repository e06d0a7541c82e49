"""YAML files of settings, with the line of each key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from brainslice.errors import ConfigError

MAX_DEPTH: Final = 5
"""The most levels of sections and lists."""

_MAX_BYTES: Final = 1 << 20


def read_yaml(
    path: Path, renamed: Mapping[str, str], text_keys: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, int]]:
    """Read a mapping from a YAML file, and the line of each of its keys.

    Args:
        path: The file, in UTF-8.
        renamed: Former keys, with their sections, and the current names of their last parts.
        text_keys: Keys whose values, or lists of values, are text or null, as for ``load_yaml``.

    Returns:
        The values, and the line of each key, counted from 1, under its current name such as ``train.lr``.

    Raises:
        ConfigError: The file cannot be read or is not such YAML, or a key occurs twice.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            msg = f"{path}: must be at most {_MAX_BYTES:,} bytes long; is it a configuration file?"
            raise ConfigError(msg)
        node = yaml.compose(data.decode(), Loader=yaml.SafeLoader)
        lines = _key_lines(path, node, renamed)
        values = _construct(node, text_keys)
    except RecursionError as error:
        msg = f"{path}: sections must be nested at most {MAX_DEPTH} deep"
        raise ConfigError(msg) from error
    except FileNotFoundError as error:
        msg = f"{path}: there is no such configuration file; the one that ships is configs/config.yaml"
        raise ConfigError(msg) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({error}); give a YAML file in UTF-8"
        raise ConfigError(msg) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        msg = f"{path}: is not valid YAML ({' '.join(str(error).split())}); correct that line"
        raise ConfigError(msg) from error
    if values is not None and not isinstance(values, dict):
        msg = f"{path}: must hold keys and values, got {type(values).__name__}"
        raise ConfigError(msg)
    return {str(key): value for key, value in (values or {}).items()}, lines


def _key_lines(path: Path, node: yaml.Node | None, renamed: Mapping[str, str]) -> dict[str, int]:
    """Return the line of each key, counted from 1, under its current name.

    Raises:
        ConfigError: A key occurs twice, an alias repeats a section, or sections are nested too deep.
    """
    lines: dict[str, int] = {}
    seen: set[int] = set()
    pending = [("", 0, node)]
    while pending:
        prefix, depth, found = pending.pop()
        if not isinstance(found, yaml.CollectionNode):
            continue
        line = found.start_mark.line + 1
        if id(found) in seen or depth > MAX_DEPTH:
            fault = "an alias must not repeat a section" if id(found) in seen else f"nested over {MAX_DEPTH} deep"
            msg = f"{path}:{line}: {fault}; write out sections, keys and values"
            raise ConfigError(msg)
        seen.add(id(found))
        if isinstance(found, yaml.SequenceNode):
            pending += [(prefix, depth + 1, each) for each in found.value]
            continue
        for key, value in found.value:
            name, line = f"{prefix}{key.value}", key.start_mark.line + 1
            name = f"{prefix}{renamed.get(name, key.value)}"
            if name in lines:
                msg = f"{path}:{line}: key {name} occurs again, first in line {lines[name]}; remove one"
                raise ConfigError(msg)
            lines[name] = line
            pending.append((f"{name}.", depth + 1, value))
    return lines


def load_yaml(text: str, text_keys: Collection[str] = (), key: str = "") -> Any:  # noqa: ANN401 - any YAML value
    """Load YAML, in which the values of some keys are text as written, also ``yes``, ``no`` and numbers.

    Args:
        text: The document.
        text_keys: Keys whose values, or lists of values, are text or null.
        key: The key that the whole document is the value of.

    Raises:
        yaml.YAMLError: It is not valid YAML.
    """
    return _construct(yaml.compose(text, Loader=yaml.SafeLoader), text_keys, keep=key in text_keys)


def _construct(root: yaml.Node | None, text_keys: Collection[str], *, keep: bool = False) -> Any:  # noqa: ANN401 - any YAML value
    if root is None:
        return None
    _keep_text(root, text_keys, set(), keep=keep)
    return yaml.SafeLoader("").construct_document(root)


def _keep_text(node: Any, text_keys: Collection[str], visited: set[tuple[int, bool]], *, keep: bool) -> None:  # noqa: ANN401 - a node of PyYAML
    if node.id == "scalar":
        if keep and not node.tag.endswith(":null"):
            node.tag = "tag:yaml.org,2002:str"
    elif (id(node), keep) not in visited:
        visited.add((id(node), keep))
        for item in node.value:
            name, value = item if node.id == "mapping" else (None, item)
            _keep_text(value, text_keys, visited, keep=keep if name is None else name.value in text_keys)
