"""What the service asks of an order, as its guide has it. Whatever breaks a rule becomes a task that fails with 26."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

LANGUAGES = frozenset({"all", "zh", "en", "ja", "ko", "ar"})
TYPES = frozenset({"remove", "remove_only_ocr", "keep"})
AREA = {"advanced": 0.20, "advanced_large_box": 0.40}
"""Model of the pro tier: its one box is smaller than this share of the picture."""
TO_THE_END = 99_999


class Mask(Struct, frozen=True):
    """A box over a time range. Corners in fractions of the picture as shown."""

    type: str
    start_s: float
    end_s: float
    x0: float
    y0: float
    x1: float
    y1: float


class Order(Struct, frozen=True, kw_only=True):
    """An order as it was read; `complaint` says what is wrong with it."""

    urls: tuple[str, ...]
    names: tuple[str, ...] = ()
    mode: int = 0
    model: str = ""
    masks: tuple[Mask, ...] = ()
    callback: str = ""
    complaint: str = ""


def read(body: dict[str, Any]) -> Order:
    """Read the body of a create request; it has `urls`."""
    urls, names = tuple(map(str, body["urls"])), tuple(map(str, body.get("names") or ()))
    callback = str(body.get("callback") or "")
    try:
        mode = _mode(body)
        masks = tuple(_mask(i, m) for i, m in enumerate(_json_text(body, "videoInpaintMasks", "[]", list)))
        extra = _json_text(body, "extraOptions", "{}", dict)
        model = str((extra.get("extra_inpaint_config") or {}).get("model", ""))
        _require_extra(extra)
        _require_tier(model, mode, masks)
        _require_plain(body, model, urls, names)
    except ValueError as error:
        return Order(urls=urls, names=names, callback=callback, complaint=str(error))
    return Order(urls=urls, names=names, callback=callback, mode=mode, model=model, masks=masks)


def _mode(body: dict[str, Any]) -> int:
    mode = body.get("needChineseOcclude")
    if mode not in (1, 2):
        raise ValueError(f"needChineseOcclude is {mode!r}; this simulator knows 1 and 2")
    return int(mode)


def _json_text(body: dict[str, Any], key: str, default: str, type_: type) -> Any:
    """A field that is JSON within the JSON: as a real object it is refused."""
    text = body.get(key, default)
    if not isinstance(text, str):
        raise ValueError(f"{key} must be a JSON string, not {type(text).__name__}")  # noqa: TRY004 - one kind of complaint
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{key} is not JSON: {error}") from error
    if not isinstance(value, type_):
        raise ValueError(f"{key} must hold a {type_.__name__}")  # noqa: TRY004
    return value


def _mask(number: int, mask: Any) -> Mask:
    here = f"videoInpaintMasks[{number}]"
    if not isinstance(mask, dict) or mask.get("type") not in TYPES:
        raise ValueError(f"{here}: type must be one of {', '.join(sorted(TYPES))}")
    if set(mask) - {"type", "start", "end", "to_end", "region"} or ("end" in mask) == ("to_end" in mask):
        raise ValueError(f"{here}: has type, start, end or to_end, and region")
    try:
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = [(float(x), float(y)) for x, y in mask["region"]]
        start, end = float(mask["start"]), float(mask.get("end", TO_THE_END))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{here}: {error}") from error
    if not (ax == dx < bx == cx and ay == by < cy == dy) or min(ax, ay) < 0 or max(bx, cy) > 1:
        raise ValueError(f"{here}: region has four corners, clockwise from the top left, each between 0 and 1")
    if not 0 <= start < end:
        raise ValueError(f"{here}: start must lie before end")
    return Mask(mask["type"], start, end, ax, ay, bx, cy)


def _require_extra(extra: dict[str, Any]) -> None:
    crf = (extra.get("write_options") or {}).get("crf", 17)
    if not isinstance(crf, int) or not 10 <= crf <= 30:
        raise ValueError(f"write_options.crf is {crf}; it lies between 10 and 30")


def _require_tier(model: str, mode: int, masks: tuple[Mask, ...]) -> None:
    """The table of tiers."""
    only_text = all(mask.type == "remove_only_ocr" for mask in masks)
    if model == "":
        fits = bool(masks) or mode == 1
    elif model == "advanced_lite":
        fits = mode == 2 and 1 <= len(masks) <= 10 and only_text
    elif model in AREA:
        fits = mode == 2 and len(masks) == 1 and only_text and _area(masks[0]) < AREA[model]
    elif model == "advanced_full":
        fits = mode == 1 and not masks
    else:
        raise ValueError(f"there is no model {model}")
    if not fits:
        raise ValueError(f"mode {mode} with {len(masks)} mask(s) does not fit the model {model or 'basic'}")


def _area(mask: Mask) -> float:
    return (mask.x1 - mask.x0) * (mask.y1 - mask.y0)


def _require_plain(body: dict[str, Any], model: str, urls: tuple[str, ...], names: tuple[str, ...]) -> None:
    language = body.get("videoInpaintLang")
    if language not in (LANGUAGES if model == "" else {"all"}):
        raise ValueError(f"videoInpaintLang is {language!r}")
    if body.get("resolution") not in ("480p", "720p", "1080p", None):
        raise ValueError(f"resolution is {body['resolution']!r}")
    if names and len(names) != len(urls):
        raise ValueError("names must be as many as urls")
