"""Compositions: clips, pictures, sound and subtitles put together into one video.

Not built yet: there is no step here that a pipeline could use.
"""

from __future__ import annotations

from vtid.sdk import hookimpl


@hookimpl
def vtid_not_ready() -> str:
    """Always, until there is a step."""
    return "composing clips into one video is not built yet; it comes with a later release"
