"""OpenTimelineIO, in which editing programs tell one another of their cuts, to and from composition documents.

What the other side has no words for is listed, never dropped in silence.
"""

from __future__ import annotations

from vtid.otio.files import ENDING, Imported, export_to, import_from

__all__ = ["ENDING", "Imported", "export_to", "import_from"]
