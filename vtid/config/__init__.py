"""The configuration: `vtid.toml`, then the environment, then flags; every problem told at once.

Search order of the file: the path that was given, `$VTID_CONFIG`, `./vtid.toml`; without any, the defaults of
`sections.py`. A variable `VTID_SECTION_KEY` overrides the file; names that deployments of this product already use work
too (`ENVIRONMENT_NAMES`, `PLUGIN_NAMES`) and yield to it. An empty variable counts as not set. `TZ` is honoured by the
C library and by child processes, so that nothing is to be read here.

A relative path is relative to the file that says it; from the environment or by default, to the working directory.
"""

from vtid.config.describing import Setting, describe
from vtid.config.loading import ENVIRONMENT_NAMES, LOOPBACK, PLUGIN_NAMES, load, weakness
from vtid.config.masking import MASK, masked
from vtid.config.sections import SECTIONS, Config, RateLimits
from vtid.config.tiers import OWNER_TIER, USUAL_TIERS, Tier

__all__ = [
    "ENVIRONMENT_NAMES",
    "LOOPBACK",
    "MASK",
    "OWNER_TIER",
    "PLUGIN_NAMES",
    "SECTIONS",
    "USUAL_TIERS",
    "Config",
    "RateLimits",
    "Setting",
    "Tier",
    "describe",
    "load",
    "masked",
    "weakness",
]
