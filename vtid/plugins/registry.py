"""All plugins together."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import msgspec
from msgspec import Struct

from vtid import presets
from vtid.config import Config
from vtid.domain.step import StepSpec
from vtid.errors import NotFound, Unavailable, did_you_mean
from vtid.plugins.finding import Found, find
from vtid.plugins.loading import PluginRecord, Status, load_one
from vtid.sdk import NAMESPACE, Callback, Candidate, Encoder, ModelKind, Presets, Step


class Plugins:
    """The plugins that were found, and the steps that they bring."""

    def __init__(self, records: Iterable[PluginRecord], presets: Presets | None = None) -> None:
        self.records = tuple(records)
        self.presets = presets or Presets()
        """That their steps know."""

    @cached_property
    def specs(self) -> dict[str, StepSpec]:
        """Every step that a pipeline may name, those of plugins that are not ready included."""
        return {name: spec for record in self.records if record.usable for name, spec in record.specs.items()}

    @cached_property
    def model_kinds(self) -> dict[str, ModelKind]:
        """What model files can be used for; a plugin that is not ready looks at files all the same."""
        return {kind.name: kind for record in self.records if record.usable for kind in record.model_kinds}

    @cached_property
    def encoders(self) -> tuple[Encoder, ...]:
        """Encoders of cards that a machine may have."""
        return tuple(one for record in self.records if record.status is Status.ENABLED for one in record.encoders)

    def chosen_encoders(self, step: str, usable: Sequence[Candidate]) -> Sequence[Candidate]:
        """Which of the encoders that work a step uses, in order: as the first plugin says that says anything."""
        for record in self.records:
            if record.status is Status.ENABLED and record.choose_encoders:
                said = record.choose_encoders(step, usable)
                if said is not None:
                    return [one for one in said if one in usable]
        return usable

    def record(self, name: str) -> PluginRecord:
        """The plugin of that name.

        Raises:
            NotFound: there is none.
        """
        for record in self.records:
            if record.name == name:
                return record
        raise NotFound(f'There is no plugin "{name}"{did_you_mean(name, [r.name for r in self.records])}')

    def unavailable(self, step: str) -> str | None:
        """Why a step cannot run now, or None when it can."""
        name = step.partition(".")[0]
        record = next((r for r in self.records if r.name == name), None)
        if record is None:
            return f'there is no plugin "{name}"'
        if record.status is not Status.ENABLED:
            return f"plugin {name} is {record.status}: {record.reason}"
        return None if step in record.specs else f'plugin {name} has no step "{step}"'

    def step(self, name: str) -> Step:
        """The step of that name, ready to run.

        Raises:
            NotFound: there is none.
            Unavailable: its plugin cannot work now.
        """
        plugin = self.record(name.partition(".")[0])
        if plugin.usable and name not in plugin.specs:
            raise NotFound(f'There is no step "{name}"{did_you_mean(name, self.specs)}')
        if reason := self.unavailable(name):
            raise Unavailable(f"{name} cannot run: {reason}")
        return plugin.steps[name]

    def callback(self, plugin: str, headers: Mapping[str, str], body: bytes) -> Callback:
        """What a plugin makes of a callback.

        Raises:
            NotFound: there is no such plugin, or it takes none.
            InvalidInput: it is not genuine (`Forged`), or cannot be read.
        """
        judge = self.record(plugin).callback
        if judge is None:
            raise NotFound(f"The plugin {plugin} takes no callbacks.")
        return judge(headers, body)

    def settings(self, plugin: str) -> Struct:
        """The settings of a plugin, in its own type."""
        return self.record(plugin).settings


def load(config: Config, *, entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> Plugins:
    """Find and load every plugin.

    Args:
        config: names the folders, the disabled ones and the settings.
        entry_points: in place of those of what is installed, for tests.
    """
    if entry_points is None:
        entry_points = importlib.metadata.entry_points(group=NAMESPACE)
    found = find(config.plugins.dirs, entry_points)
    qualities = presets.load(config.presets.dirs)
    records = [_record(plugin, config, qualities) for plugin in found.values()]
    return Plugins([*records, *_unknown(config, found)], qualities)


def _record(plugin: Found, config: Config, qualities: Presets) -> PluginRecord:
    disabled = plugin.name in config.plugins.disabled
    if disabled or plugin.problem:
        record = PluginRecord(
            name=plugin.name,
            status=Status.DISABLED if disabled else Status.MISCONFIGURED,
            reason="switched off by [plugins] disabled in vtid.toml" if disabled else plugin.problem or "",
            module=plugin.module,
            path=plugin.path,
        )
    else:
        settings = config.plugins.tables.get(plugin.name, {})
        record = load_one(
            plugin.name, plugin.module, plugin.path, settings, requires=plugin.requires, presets=qualities
        )
    return msgspec.structs.replace(record, source=plugin.source, version=plugin.version)


def _unknown(config: Config, found: dict[str, Found]) -> Iterator[PluginRecord]:
    """Records for names that the configuration speaks of and nobody has: most often a slip of the pen."""
    named = dict.fromkeys(config.plugins.disabled, "[plugins] disabled")
    named |= {name: f"[plugins.{name}]" for name in config.plugins.tables}
    for name, place in named.items():
        if name not in found:
            reason = f'{place} speaks of a plugin "{name}", which is not there{did_you_mean(name, found)}'
            yield PluginRecord(name=name, status=Status.MISCONFIGURED, reason=reason, source="configuration")
