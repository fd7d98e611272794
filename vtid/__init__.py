"""vtid: a self-hosted media-processing daemon. See docs/architecture.md for the map."""

__version__ = "0.1.0"
