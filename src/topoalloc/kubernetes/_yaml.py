# SPDX-License-Identifier: Apache-2.0
"""Read YAML as Kubernetes does: plain values, without what could make them large.

Built from the parser's events, so that no depth is a recursion and no alias is
followed. Words are true, false and numbers as in YAML 1.1; a date is a text.
"""

from __future__ import annotations

import re
from typing import Any

from topoalloc.kubernetes._cel_library import MissingExtraError

__all__ = ["YamlError", "read_yaml"]

MAX_DEPTH = 100
"""Deepest nesting of lists and maps."""

_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y"), True),
    **dict.fromkeys(("n", "N"), False),
    **{
        spelled: value
        for word, value in (
            ("yes", True), ("true", True), ("on", True),
            ("no", False), ("false", False), ("off", False),
        )
        for spelled in (word, word.capitalize(), word.upper())
    },
}  # fmt: skip
_NUMBER = re.compile(
    r"(?P<int>[-+]?(?:0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9]*))"
    r"|(?P<float>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
)
_MAX_DIGITS = 400
_OCTAL = re.compile(r"([-+]?)0([0-7]+)")
_TEXT_TAGS = {"tag:yaml.org,2002:str", "!"}


class YamlError(ValueError):
    """The text is no YAML that is read here; the message says where."""


def read_yaml(text: str) -> list[Any]:
    """Read the documents of a text.

    Parameters
    ----------
    text : str
        With any number of documents.

    Returns
    -------
    list
        Of each document what it holds, as `json` would give it.

    Raises
    ------
    YamlError
        The text is no YAML, or has aliases, tags, merged or equal keys, or is too deep.
    MissingExtraError
        The package PyYAML is not installed.
    """
    try:
        import yaml  # noqa: PLC0415 - a package of the extra.
    except ImportError as error:
        message = "yaml: not installed, want `pip install topoalloc[kubernetes]`"
        raise MissingExtraError(message) from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder()
    try:
        text.encode()
        for event in yaml.parse(text, Loader=loader):
            builder.take(event, type(event).__name__.removesuffix("Event"))
    except UnicodeEncodeError as error:
        message = f"position {error.start}: no Unicode text"
        raise YamlError(message) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        message = f"{where}{problem}"
        raise YamlError(message) from None
    return builder.documents


class _Builder:
    """Puts together what events tell of."""

    def __init__(self) -> None:
        self.documents: list[Any] = []
        # Lists and maps that are open, and for a map the key that waits for its value.
        self.open: list[tuple[Any, list[Any]]] = []

    def take(self, event: Any, name: str) -> None:  # noqa: ANN401 - untyped.
        """Take one event."""
        where = f"line {event.start_mark.line + 1}" if event.start_mark else "text"
        if name == "Alias":
            message = f"{where}: an alias, want the value itself"
            raise YamlError(message)
        if name == "Scalar":
            # A key is a text as it is written.
            value = event.value if self.wants_key() else _scalar(event, where)
            self.put(value, where)
        elif name in {"SequenceStart", "MappingStart"}:
            if event.tag is not None or len(self.open) >= MAX_DEPTH:
                problem = "a tag" if event.tag else f"deeper than {MAX_DEPTH}"
                message = f"{where}: {problem}, want plain values"
                raise YamlError(message)
            holder: Any = [] if name == "SequenceStart" else {}
            self.put(holder, where)
            self.open.append((holder, []))
        elif name in {"SequenceEnd", "MappingEnd"}:
            self.open.pop()

    def wants_key(self) -> bool:
        """Tell whether what comes is the key of a map."""
        return bool(self.open) and (
            isinstance(self.open[-1][0], dict) and not self.open[-1][1]
        )

    def put(self, value: object, where: str) -> None:
        """Put a value where it belongs."""
        if not self.open:
            self.documents.append(value)
            return
        holder, waiting = self.open[-1]
        if isinstance(holder, list):
            holder.append(value)
        elif waiting:
            holder[waiting.pop()] = value
        else:
            if not isinstance(value, str) or value in holder or value == "<<":
                message = f"{where}: key {ascii(value)[:80]}, want text, each once"
                raise YamlError(message)
            waiting.append(value)


def _scalar(event: Any, where: str) -> object:  # noqa: ANN401 - untyped.
    text: str = event.value
    if event.tag in _TEXT_TAGS or (event.tag is None and not event.implicit[0]):
        return text
    if event.tag is not None:
        message = f"{where}: the tag {ascii(event.tag)[:80]}, want plain values"
        raise YamlError(message)
    if text in _WORDS:
        return _WORDS[text]
    found = _NUMBER.fullmatch(text) if len(text) <= _MAX_DIGITS else None
    if found is None:
        return text
    if found["float"] is not None:
        return float(text)
    octal = _OCTAL.fullmatch(text)
    # Python spells octal numbers with an o.
    return int(f"{octal[1]}0o{octal[2]}" if octal else text, 0)
