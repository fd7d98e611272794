"""How params name detectors, guides and the operator's models."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from vtid.sdk import MODEL_PREFIX

TEXT_DETECTOR = "text-detector"
INPAINTING = "inpainting"

DETECTORS = ("auto", "rapidocr", "easyocr")
GUIDES = ("classical",)
EASYOCR_WEIGHTS = "craft_mlt_25k.pth"


def complaint(value: str, known: Collection[str], kind: str) -> str | None:
    """What is wrong with a param that takes one of these words or a model of that kind; None for nothing."""
    if value in known or (value.startswith(MODEL_PREFIX) and len(value) > len(MODEL_PREFIX)):
        return None
    close = difflib.get_close_matches(value, known, n=1, cutoff=0.6)
    if close:
        return f'there is no "{value}"; did you mean "{close[0]}"?'
    words = ", ".join(f'"{word}"' for word in known)
    return f'there is no "{value}"; there is {words}, and "{MODEL_PREFIX}NAME" for a model ({kind}) that was added'
