"""The HTTP door: routes by noun, errors in one shape, events from one source. The only importer of Litestar.

Handlers parse, call the application, and say what came of it; whatever decides something lives further in.
"""

from vtid.web.app import create_app

__all__ = ["create_app"]
