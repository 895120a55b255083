# SPDX-License-Identifier: Apache-2.0
"""Running one subcommand: options, errors and exit codes are alike in all of them."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Sequence
from typing import Any

from topoalloc._errors import InternalError, TopoallocError, UndecidedError
from topoalloc.cli import COMMANDS, EXIT_BAD_INPUT, EXIT_UNDECIDED

__all__ = ["make_command", "run_command", "unfold"]

_MISSING = "not installed, want it: pip install 'topoalloc[cli]'"


class _ClosedPipeError(Exception):
    """The reader of our output has gone; by a name that typer does not act upon."""


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run a subcommand and return the exit code.

    Parameters
    ----------
    name : str
        One of ``COMMANDS``.
    arguments : sequence of str
        What follows the name.

    Returns
    -------
    int
    """
    try:
        return _run(name, list(arguments))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in {"typer", "rich"}:
            raise
        return _complain(f"{package}: {_MISSING}")
    except _ClosedPipeError:
        raise BrokenPipeError from None
    except UndecidedError as error:
        _complain(str(error))
        return EXIT_UNDECIDED
    except InternalError:
        raise
    except TopoallocError as error:
        # An OSError with two arguments prints its errno first, which names nothing.
        return _complain(str(error.args[-1] if error.args else error))
    except OSError as error:
        if error.strerror is None:
            raise
        what = "file" if error.filename is None else str(error.filename)
        return _complain(f"{what}: {error.strerror}")


def make_command(name: str) -> Any:  # noqa: ANN401 - typer has no public name for it.
    """Make the command of typer: its parser with options, help and examples.

    Parameters
    ----------
    name : str
        One of ``COMMANDS``.

    Returns
    -------
    object
        With ``main`` and ``params`` as click's commands have them.
    """
    import typer  # noqa: PLC0415 - The extra may be missing, and that has an answer.

    module = importlib.import_module(
        "topoalloc.cli._" + name.replace(" ", "_").replace("-", "_")
    )
    app = typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    app.command(
        name=name,
        help=_sentence(COMMANDS[name]) + "\n\n" + module.HELP,
        epilog="\b\nExamples:\n" + "\n".join(f"  {line}" for line in module.EXAMPLES),
        context_settings=getattr(module, "CONTEXT", {}) | {"max_content_width": 88},
    )(unfold(module.command))
    return typer.main.get_command(app)


def _run(name: str, arguments: list[str]) -> int:
    import typer  # noqa: PLC0415

    # The base of every error in what was typed; typer names it by its children alone.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        code = make_command(name).main(
            args=arguments, prog_name=f"topoalloc {name}", standalone_mode=False
        )
    except usage_error as error:
        return _complain(f"{_usage_text(error)} (topoalloc {name} --help)")
    except typer.Abort:
        raise KeyboardInterrupt from None
    return int(code or 0)


def unfold(command: Callable[..., int]) -> Callable[..., int]:
    """Make an option of each field of the dataclasses that a command takes.

    Parameters
    ----------
    command : callable
        Some of its parameters are dataclasses, whose fields say how typer reads them.

    Returns
    -------
    callable
        With the fields as parameters; it makes the dataclasses and calls the command.
    """
    groups: dict[str, tuple[type, list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    hints = typing.get_type_hints(command, include_extras=True)
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            fields = typing.get_type_hints(hint, include_extras=True)
            groups[parameter.name] = (hint, list(fields))
            parameters += [
                _parameter(field.name, fields[field.name], field.default)
                for field in dataclasses.fields(hint)
            ]
        else:
            parameters.append(_parameter(parameter.name, hint, parameter.default))

    @functools.wraps(command)
    def unfolded(**values: Any) -> int:  # noqa: ANN401 - As many types as options.
        made = {
            name: cls(**{field: values.pop(field) for field in fields})
            for name, (cls, fields) in groups.items()
        }
        try:
            code = command(**made, **values)
            sys.stdout.flush()
        except BrokenPipeError:
            raise _ClosedPipeError from None
        return code

    unfolded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    unfolded.__annotations__ = {p.name: p.annotation for p in parameters}
    del unfolded.__wrapped__
    return unfolded


def _parameter(name: str, annotation: object, default: object) -> inspect.Parameter:
    if default is dataclasses.MISSING:
        default = inspect.Parameter.empty
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _sentence(text: str) -> str:
    end = "" if text.endswith("?") else "."
    return text[0].upper() + text[1:] + end


def _usage_text(error: Any) -> str:  # noqa: ANN401 - The kinds have no common fields.
    """Say an error of the command line as topoalloc says its own."""
    option = getattr(error, "option_name", None)
    if option is not None and hasattr(error, "possibilities"):
        near = ", ".join(sorted(error.possibilities or ())) or "one that the help names"
        return f"{option}: no such option, want {near}"
    parameter = getattr(error, "param", None)
    if parameter is not None:
        is_option = parameter.param_type_name == "option"
        hint = parameter.opts[-1] if is_option else parameter.metavar or parameter.name
        value = _value_text(error)
        if value:
            return f"{hint}: {value}"
        # Without a message of its own it is one that is missing.
        return f"{hint}: {error.message or 'missing, want it'}".rstrip(".")
    text = str(error.format_message()).rstrip(".")
    return text[0].lower() + text[1:]


def _value_text(error: Exception) -> str:
    """Say a value that cannot be read; empty where typer does not tell it."""
    errors = getattr(error.__cause__, "errors", None)
    if errors is None:
        return ""
    (first, *_) = errors()
    bounds = first.get("ctx", {})
    match first["type"]:
        case "int_parsing" | "int_parsing_size":
            want = "a whole number"
        case "greater_than_equal":
            want = f"a whole number, {bounds['ge']} or more"
        case "less_than_equal":
            want = f"a whole number, {bounds['le']} or less"
        case "value_error" if " is not one of " in first["msg"]:
            want = first["msg"].partition(" is not ")[2].rstrip(".")
        case _:
            return ""
    return f"{str(first['input'])!r}, want {want}"


def _complain(message: str) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"topoalloc: {message}\n")
    return EXIT_BAD_INPUT
