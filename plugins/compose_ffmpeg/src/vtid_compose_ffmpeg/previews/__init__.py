"""What an editor needs of a film before it edits it: frame times, a proxy, a waveform, thumbnails, shots, stills."""

from __future__ import annotations

from .film import Facts, Proxy, Shots, Waveforms
from .pictures import Sheets, Stills

__all__ = ["STEPS", "Facts", "Proxy", "Sheets", "Shots", "Stills", "Waveforms"]

STEPS = (Facts, Proxy, Waveforms, Sheets, Shots, Stills)
