"""Services that vtid's plugins talk to, simulated: for tests, for authors of plugins, to try it all without an account.

Each is a real HTTP server that is strict about what the service is strict about, does visible work, keeps a ledger of
what it would have charged, and misbehaves on demand. They are no part of the daemon and know nothing of it.
"""

from __future__ import annotations

from vtid.simulators.serving import Answer, Hangup, Request, Simulator

__all__ = ["SIMULATORS", "Answer", "Hangup", "Request", "Simulator"]

SIMULATORS: dict[str, str] = {
    "ghostcut": "vtid.simulators.ghostcut:GhostCut",
    "syncso": "vtid.simulators.syncso:SyncSo",
}
"""Name to the class, which is imported when it is wanted: some draw pictures, which is heavy to import."""
