"""A stand-in for GhostCut (Zhaoli): the same routes, as strict, and able to misbehave.

It does visible work: what a task's masks mark is painted over in the video that comes back.
"""

from vtid.simulators.ghostcut.account import Account, Moods, Task
from vtid.simulators.ghostcut.service import GhostCut

__all__ = ["Account", "GhostCut", "Moods", "Task"]
