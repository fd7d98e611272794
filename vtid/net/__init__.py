"""The way out: every URL that vtid fetches or posts to goes through here. The only importer of httpcore.

A URL comes from a stranger, and this machine can reach what the stranger cannot: the daemon itself, its neighbours, a
cloud's metadata service. So a name is resolved once, what it means is judged, and the connection goes to the very
address that was judged (`Outbound`); what a server then sends is bounded in size, time and pace (`download`).
"""

from vtid.net.addresses import Reach
from vtid.net.download import Download, Fetched, Limits, TooSlow
from vtid.net.outbound import Broken, Outbound, phrase
from vtid.net.urls import check_url, filename_of, without_query

__all__ = [
    "Broken",
    "Download",
    "Fetched",
    "Limits",
    "Outbound",
    "Reach",
    "TooSlow",
    "check_url",
    "filename_of",
    "phrase",
    "without_query",
]
