"""Fonts: vtid's own, those of the machine, those that came with a document; and what they can write."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import font_roboto
from fontTools.ttLib import TTFont, TTLibError

from vtid.sdk import did_you_mean

from . import document as doc
from .complaints import Complaints
from .given import Given

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path("~/.fonts"), Path("~/.local/share/fonts"))
"""Where a machine has its fonts."""

_ENDINGS = (".ttf", ".otf", ".ttc", ".otc")
_ASSET = "asset:"


def font_of(text: doc.Text, place: str, files: Mapping[str, Given], complaints: Complaints) -> Path | None:
    """The font file of a text; None, and a complaint, where there is none or it lacks what is to be written."""
    if text.font is None:
        path: Path | None = Path(font_roboto.RobotoBold if text.bold else font_roboto.Roboto)
        name = "Roboto, the default font,"
    elif text.font.startswith(_ASSET):
        path = files[text.font].path if text.font in files else None
        if path is None:
            complaints.add(
                f"{place}.font", f'there is no file "{text.font}"{did_you_mean(text.font, files)}', "unknown"
            )
        name = files[text.font].name if path else ""
    else:
        path = installed().get(text.font.removesuffix(Path(text.font).suffix) if _has_ending(text.font) else text.font)
        if path is None:
            hint = did_you_mean(text.font, installed())
            complaints.add(f"{place}.font", f'no font file of this machine is called "{text.font}"{hint}', "unknown")
        name = path.name if path else ""
    if path is None:
        return None
    if text.font is not None and text.bold:
        complaints.add(f"{place}.bold", "is for the default font only; name a bold font file")
    try:
        known = characters(path)
    except (TTLibError, OSError, ValueError):
        complaints.add(f"{place}.font", f"{name} is no font that can be read; give a TrueType or OpenType file")
        return None
    missing = sorted({one for one in text.text if _is_drawn(one) and ord(one) not in known})
    if missing:
        shown = ", ".join(f"“{one}” (U+{ord(one):04X})" for one in missing[:5]) + (" …" if len(missing) > 5 else "")
        who = name if text.font is None else f"the font {name}"
        complaints.add(f"{place}.text", f"{who} has no glyph for {shown}; name a font that has, with font", "no_glyph")
    return path


def installed() -> dict[str, Path]:
    """Font files of this machine, by their names without the ending."""
    found = (path for folder in FOLDERS for path in sorted(folder.expanduser().rglob("*")))
    return {path.stem: path for path in found if _has_ending(path.name)}


@lru_cache(maxsize=16)
def characters(path: Path) -> frozenset[int]:
    """The code points that a font can write."""
    with path.open("rb") as file, TTFont(file, fontNumber=0, lazy=True) as font:  # it would leave the file open
        font.setGlyphOrder([str(number) for number in range(font["maxp"].numGlyphs)])  # or it would invent their names
        return frozenset(font.getBestCmap() or ())


def _has_ending(name: str) -> bool:
    return name.lower().endswith(_ENDINGS)


def _is_drawn(character: str) -> bool:
    """Spaces, line breaks and marks of direction have no glyph of their own."""
    return unicodedata.category(character)[0] not in "CZ" and not "\ufe00" <= character <= "\ufe0f"
