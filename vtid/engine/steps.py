"""Calling a step: plain data in, a message about the outcome out. The same in a child process and in a thread."""

from __future__ import annotations

import errno
import re
import traceback
import typing
from pathlib import Path
from typing import Any

import msgspec

from vtid.domain.artifact import File
from vtid.engine.wire import Done, Failed, Later, Suspend
from vtid.errors import (
    HardwareFailed,
    InvalidInput,
    NeedsAttention,
    RetryLater,
    StepCrashed,
    StepError,
    StorageError,
    Suspended,
    Unavailable,
    VtidError,
)
from vtid.sdk import Context, Step

Outcome = Done | Suspend | Later | Failed


def call(step: Step, context: Context, params: dict[str, Any], inputs: dict[str, Any]) -> Outcome:
    """Run a step and say what came of it. `Cancelled`, interrupts and `StepCrashed` pass through.

    Args:
        step: an instance.
        context: for it.
        params: by name, as frozen into the job.
        inputs: by name; files as `{"path", "name", "info"}`.
    """
    try:
        hints = typing.get_type_hints(step.run)
        made = step.run(
            context, msgspec.convert(params, hints["params"], strict=False), _inputs(inputs, hints["inputs"])
        )
        return Done(data_of(made, hints["return"]))
    except Suspended as wait:
        return Suspend(wait.after, wait.message)
    except RetryLater as busy:
        return Later(busy.after, busy.message)
    except (StepError, NeedsAttention, InvalidInput) as error:
        return Failed(_kind(error), in_their_names(error.message, inputs), error.problems, error.suggestion)
    except HardwareFailed as error:
        return Failed(error.code, error.message)
    except StepCrashed:  # the link found a limit passed
        raise
    except MemoryError:
        return Failed("memory", "the step ran out of memory", trace=traceback.format_exc())
    except (Unavailable, StorageError):  # ours, not the author's: the database or the disk is away
        raise
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - a step takes no worker with it
        return _bug(error)


def _bug(error: BaseException) -> Failed:
    """What the author did not foresee; but that the disk is full is no fault of theirs."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return Failed("disk_full", "the disk is full", suggestion="Free some space, and do it again.")
    message = error.message if isinstance(error, VtidError) else f"{type(error).__name__}: {error}"
    return Failed("bug", message, trace=traceback.format_exc())


def in_their_names(message: str, inputs: dict[str, Any]) -> str:
    """A message with the people's own names of files: in the workspace they lie under those of the inputs.

    Args:
        message: of an error; may name files by the names that they have in the workspace.
        inputs: as for `call`.
    """
    for value in inputs.values():
        for file in [value, *(value.values() if isinstance(value, dict) else ())]:
            if isinstance(file, dict) and file.get("name") and "path" in file:
                known = re.escape(Path(file["path"]).name)
                message = str(file["name"]).join(re.split(rf"(?<![\w./-]){known}(?![\w-]|\.\w)", message))
    return message


def _kind(error: VtidError) -> str:
    return "needs_attention" if isinstance(error, NeedsAttention) else error.code


def _inputs(values: dict[str, Any], type_: type[msgspec.Struct]) -> msgspec.Struct:
    return msgspec.convert(values, type_, strict=False, dec_hook=_from_wire)


def _from_wire(type_: type, value: Any) -> Any:
    if type_ is Path:
        return Path(value)
    raise NotImplementedError


def data_of(made: Any, type_: type[msgspec.Struct]) -> dict[str, Any]:
    """The outputs of a step as plain data.

    Args:
        made: what `run` returned.
        type_: what it declares to return.

    Raises:
        TypeError: it is something else, or holds what is no plain data.
    """
    if not isinstance(made, type_):
        raise TypeError(f"run() returned {type(made).__name__}, not {type_.__name__}")
    out: dict[str, Any] = {}
    for field in msgspec.structs.fields(type_):
        out[field.name] = _output(getattr(made, field.name))
    return out


def _output(value: Any) -> Any:
    """A file, several files by name, or data."""
    if isinstance(value, File):
        return {"path": str(value.path), "name": value.name}
    if isinstance(value, dict) and value and all(isinstance(one, File) for one in value.values()):
        return {str(name): _output(one) for name, one in value.items()}
    return msgspec.to_builtins(value)
