"""Plugins: find them, load them, check them, and keep a record of each with its status and the reason.

Two doors, one rule. A plugin is an entry point of the group `vtid`, of an installed distribution or of the
`pyproject.toml` of a folder under `[plugins] dirs`; where both have it, the folder wins. Its name is the same in four
places: the folder, the entry point, the first half of its steps' names, and `[plugins.NAME]` in vtid.toml.
A plugin fails alone: whatever it does wrong becomes its record's reason and harms nothing else.
"""

from vtid.plugins.loading import PluginRecord, Status, load_one
from vtid.plugins.registry import Plugins, load
from vtid.plugins.signature import params_schema, spec_of

__all__ = ["PluginRecord", "Plugins", "Status", "load", "load_one", "params_schema", "spec_of"]
