"""Models that the operator added: a file each, with its licence on record. Nothing is ever downloaded.

What a model is for is its kind, and kinds come from plugins (`vtid_model_kinds`): the plugin that will use a file is
the one that looks whether it can. Here they are kept, and kept apart by what their licences allow.
"""

from vtid.models.licences import allows_commerce
from vtid.models.params import model_problems
from vtid.models.store import Record, Standing, Store

__all__ = ["Record", "Standing", "Store", "allows_commerce", "model_problems"]
