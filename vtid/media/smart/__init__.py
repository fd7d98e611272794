"""Smart render: a film is written anew, and only what is edited is encoded anew.

`planning` divides the film, by what `index` reads from its packets, where `matching` says that copied and rendered
pictures can be one stream. `render` makes a part of each span that is edited; `join` puts packets and parts together
and has `joints` look at the result. See docs/smart-render.md.
"""

from __future__ import annotations

from vtid.media.smart.join import join
from vtid.media.smart.planning import plan
from vtid.media.smart.render import render

__all__ = ["join", "plan", "render"]
