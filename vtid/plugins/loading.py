"""One plugin: import it, ask its hooks, check what they answer. Whatever goes wrong ends up in the record."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import msgspec
import pluggy
from msgspec import Struct, field

from vtid import hookspecs
from vtid.complaints import worded
from vtid.domain.step import StepSpec
from vtid.errors import did_you_mean
from vtid.plugins.signature import spec_of
from vtid.sdk import NAMESPACE, Callback, Candidate, Encoder, ModelKind, Presets, Step

T = TypeVar("T")


class Status(StrEnum):
    """What became of a plugin."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    """The operator switched it off."""
    UNAVAILABLE = "unavailable"
    """It could not be imported."""
    MISCONFIGURED = "misconfigured"
    """Its settings, its name, its hooks or its steps are wrong."""
    NOT_READY = "not ready"
    """It says itself why it cannot work now."""


class NoSettings(Struct, frozen=True):
    """The settings of a plugin that has none."""


ChooseEncoders = Callable[[str, Sequence[Candidate]], Sequence[Candidate] | None]


class PluginRecord(Struct, frozen=True, kw_only=True):
    """What is known of a plugin."""

    name: str
    status: Status
    reason: str = ""
    """Why it is not enabled, in plain words."""
    source: str = ""
    """For people: `entry point of demo 1.0`, or the folder."""
    version: str = ""
    module: str = ""
    path: Path | None = None
    """Where the module is imported from; None: from what is installed."""
    help: str = ""
    """The module's docstring."""
    steps: dict[str, Step] = field(default_factory=dict)
    specs: dict[str, StepSpec] = field(default_factory=dict)
    """Of the same steps."""
    model_kinds: tuple[ModelKind, ...] = ()
    account: Callable[[], str] | None = None
    """Asks the service how the account stands; None: there is none."""
    callback: Callable[[Mapping[str, str], bytes], Callback] | None = None
    """Judges what a service calls back about; None: it takes no callbacks."""
    encoders: tuple[Encoder, ...] = ()
    choose_encoders: ChooseEncoders | None = None
    """Says which encoders a step uses; None: it does not care."""
    settings: Struct = field(default_factory=NoSettings)
    settings_raw: dict[str, Any] = field(default_factory=dict)
    """As `[plugins.NAME]` says, for `load_one` in the process that runs a step."""
    trace: str = ""
    """The traceback, where the plugin's own code raised."""

    @property
    def usable(self) -> bool:
        """Whether pipelines may name its steps; one that is not ready yet is known all the same."""
        return self.status in (Status.ENABLED, Status.NOT_READY)


class _PluginError(Exception):
    """The plugin is not to be used; its record says why."""

    def __init__(self, status: Status, reason: str, trace: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.trace = trace


def load_one(
    name: str,
    module: str,
    path: Path | None,
    settings_raw: Mapping[str, Any],
    *,
    requires: tuple[str, ...] = (),
    presets: Presets | None = None,
) -> PluginRecord:
    """Load one plugin and nothing else.

    Args:
        name: of the plugin.
        module: to import.
        path: the folder that the module lies in; None for an installed one.
        settings_raw: its table of vtid.toml.
        requires: what its distribution asks for, to say how a missing one is installed.
        presets: for its steps.
    """
    known: dict[str, Any] = {"name": name, "module": module, "path": path, "settings_raw": dict(settings_raw)}

    def ask() -> str | None:
        imported = _imported(module, path, requires)
        known["help"] = (imported.__doc__ or "").strip()
        hook = _hooks(name, imported)
        known["settings"] = _settings(name, hook, settings_raw)
        known["specs"], known["steps"] = _steps(name, hook)
        for step in known["steps"].values():
            step.presets = presets or Presets()
        known["model_kinds"] = _model_kinds(hook)
        known["account"] = _account(hook, known["settings"])
        known["callback"] = _callback(hook, known["settings"])
        known["encoders"] = _encoders(hook, known["settings"])
        known["choose_encoders"] = _choose_encoders(hook, known["settings"])
        return _not_ready(hook, known["settings"])

    try:
        reason = _guarded("checking it", Status.MISCONFIGURED, ask)
    except _PluginError as rejected:
        return PluginRecord(**known, status=rejected.status, reason=rejected.reason, trace=rejected.trace)
    return PluginRecord(**known, status=Status.NOT_READY if reason else Status.ENABLED, reason=reason or "")


def _guarded(what: str, status: Status, call: Callable[[], T]) -> T:
    """Run a plugin's code. It may raise anything, `SystemExit` too; only Ctrl-C is for somebody else."""
    try:
        return call()
    except (KeyboardInterrupt, _PluginError):
        raise
    except BaseException as error:  # noqa: BLE001 - a stranger's code must not end the daemon
        text = f"{what} raised {type(error).__name__}" + (f": {error}" if str(error) else "")
        raise _PluginError(status, text, traceback.format_exc()) from None


# --- import -----------------------------------------------------------------------------------------------------------


def _imported(module: str, path: Path | None, requires: tuple[str, ...]) -> ModuleType:
    def attempt() -> ModuleType:
        try:
            return importlib.import_module(module) if path is None else _import_from(module, path)
        except ModuleNotFoundError as error:
            raise _PluginError(
                Status.UNAVAILABLE, _missing(error, module, path, requires), traceback.format_exc()
            ) from None

    return _guarded(f"importing {module}", Status.UNAVAILABLE, attempt)


def _missing(error: ModuleNotFoundError, module: str, path: Path | None, requires: tuple[str, ...]) -> str:
    """What is missing and how to get it."""
    missing = error.name or str(error)
    if missing.partition(".")[0] == module.partition(".")[0]:
        return f"its module {missing} is not {f'in {path}' if path else 'installed'}"
    package = missing.partition(".")[0]
    wanted = " ".join(f'"{requirement}"' for requirement in requires or (package,))
    return f"it needs the Python package {package}, which is not installed; run: pip install {wanted}"


def _import_from(module: str, path: Path) -> ModuleType:
    """Import a plugin's module from its folder, even where an installed one has the same name."""
    top = module.partition(".")[0]
    if (known := sys.modules.get(top)) and not _lies_in(known, path):
        where = getattr(known, "__file__", None) or "Python itself"
        raise _PluginError(
            Status.MISCONFIGURED, f"its module {top} has the name of one already loaded from {where}; rename it"
        )
    if known is None:
        importlib.invalidate_caches()
        spec = PathFinder.find_spec(top, [str(path)])
        if spec is None or spec.loader is None:
            raise ModuleNotFoundError(f"No module named {top!r}", name=top)
        # Last in the path: for processes that the plugin starts itself, and so that it shadows nobody's modules.
        if str(path) not in sys.path:
            sys.path.append(str(path))
        sys.modules[top] = imported = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(imported)
        except BaseException:
            del sys.modules[top]
            raise
    return importlib.import_module(module)


def _lies_in(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(path.resolve())


# --- hooks ------------------------------------------------------------------------------------------------------------


def _hooks(name: str, module: ModuleType) -> Any:
    """The plugin's hooks, in a manager of its own, so that no other plugin's answer or error mixes in."""
    manager = pluggy.PluginManager(NAMESPACE)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        reason = " ".join(str(error).split())
        raise _PluginError(Status.MISCONFIGURED, f"it has a hook that vtid does not know so: {reason}") from error
    return manager.hook


def _settings(name: str, hook: Any, raw: Mapping[str, Any]) -> Struct:
    type_ = _guarded("vtid_settings", Status.MISCONFIGURED, hook.vtid_settings) or NoSettings
    if not (isinstance(type_, type) and issubclass(type_, Struct)):
        raise _PluginError(Status.MISCONFIGURED, f"vtid_settings must return a Struct's class, not {type_!r}")
    fields = {f.encode_name: f for f in msgspec.structs.fields(type_)}
    problems = []
    for key, value in raw.items():
        if key not in fields:
            hint = did_you_mean(key, fields) or f"; it has: {', '.join(fields) or 'no settings'}"
            problems.append(f"[plugins.{name}] {key}: unknown setting{hint}")
            continue
        try:
            msgspec.convert(value, fields[key].type, strict=False)
        except msgspec.ValidationError as error:
            problems.append(f"[plugins.{name}] {worded(error, fields[key].type, key)}")
    if problems:
        raise _PluginError(Status.MISCONFIGURED, "; ".join(problems))
    try:
        return msgspec.convert(dict(raw), type_, strict=False)
    except msgspec.ValidationError as error:  # a setting without default, or a rule over several in __post_init__
        raise _PluginError(Status.MISCONFIGURED, f"[plugins.{name}]: {worded(error, type_, '')}") from error


def _steps(name: str, hook: Any) -> tuple[dict[str, StepSpec], dict[str, Step]]:
    specs: dict[str, StepSpec] = {}
    steps: dict[str, Step] = {}
    answers = _guarded("vtid_steps", Status.MISCONFIGURED, hook.vtid_steps)
    for answer in answers:
        if not isinstance(answer, list | tuple):
            raise _PluginError(Status.MISCONFIGURED, f"vtid_steps must return a list of Step classes, not {answer!r}")
        for step in answer:
            try:
                spec = spec_of(step, name)
            except TypeError as error:
                raise _PluginError(Status.MISCONFIGURED, str(error)) from error
            if spec.name in specs:
                raise _PluginError(Status.MISCONFIGURED, f"two of its steps are named {spec.name}")
            specs[spec.name] = spec
            steps[spec.name] = _guarded(f"{step.__name__}()", Status.MISCONFIGURED, step)
    return specs, steps


def _model_kinds(hook: Any) -> tuple[ModelKind, ...]:
    answers = _guarded("vtid_model_kinds", Status.MISCONFIGURED, hook.vtid_model_kinds)
    kinds = [kind for answer in answers for kind in (answer if isinstance(answer, list | tuple) else [answer])]
    if wrong := [kind for kind in kinds if not isinstance(kind, ModelKind)]:
        raise _PluginError(Status.MISCONFIGURED, f"vtid_model_kinds must return a list of ModelKinds, not {wrong[0]!r}")
    return tuple(kinds)


def _encoders(hook: Any, settings: Struct) -> tuple[Encoder, ...]:
    answers = _guarded("vtid_encoders", Status.MISCONFIGURED, lambda: hook.vtid_encoders(settings=settings))
    encoders = [one for answer in answers for one in (answer if isinstance(answer, list | tuple) else [answer])]
    if wrong := [one for one in encoders if not isinstance(one, Encoder)]:
        raise _PluginError(Status.MISCONFIGURED, f"vtid_encoders must return a list of Encoders, not {wrong[0]!r}")
    return tuple(encoders)


def _choose_encoders(hook: Any, settings: Struct) -> ChooseEncoders | None:
    if not hook.vtid_choose_encoders.get_hookimpls():
        return None

    def choose(step: str, usable: Sequence[Candidate]) -> Sequence[Candidate] | None:
        found: Sequence[Candidate] | None = hook.vtid_choose_encoders(settings=settings, step=step, usable=usable)
        return found

    return choose


def _account(hook: Any, settings: Struct) -> Callable[[], str] | None:
    if not hook.vtid_account.get_hookimpls():
        return None
    return lambda: str(hook.vtid_account(settings=settings))


def _callback(hook: Any, settings: Struct) -> Callable[[Mapping[str, str], bytes], Callback] | None:
    if not hook.vtid_callback.get_hookimpls():
        return None

    def judge(headers: Mapping[str, str], body: bytes) -> Callback:
        found = hook.vtid_callback(settings=settings, headers=headers, body=body)
        if not isinstance(found, Callback):
            raise TypeError(f"vtid_callback must return a Callback, not {found!r}")
        return found

    return judge


def _not_ready(hook: Any, settings: Struct) -> str | None:
    reason = _guarded("vtid_not_ready", Status.MISCONFIGURED, lambda: hook.vtid_not_ready(settings=settings))
    if reason is not None and not isinstance(reason, str):
        raise _PluginError(Status.MISCONFIGURED, f"vtid_not_ready must return a text or None, not {reason!r}")
    return reason or None
