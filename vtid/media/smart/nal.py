"""NAL units of H.264 and HEVC: taking streams apart into them, and the numbers in their heads.

ITU-T H.264 and H.265, section 7.3; the two ways to store them are Annex B (start codes; MPEG-TS) and ISO/IEC 14496-15
(each unit behind its length; MP4, MOV, Matroska).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

ANNEX_B = 0
"""Instead of a number of bytes that say a unit's length: units lie between start codes."""

H264_IDR, H264_SPS, H264_PPS = 5, 7, 8
HEVC_VPS, HEVC_SPS, HEVC_PPS, HEVC_DOLBY_VISION = 32, 33, 34, 62
_HEVC_IDR = (19, 20)
_HEVC_FIRST_NON_VCL = 32
_H264_VCL = range(1, 6)

_START = re.compile(rb"\x00\x00\x01")


def split(data: bytes, length: int) -> list[bytes]:
    """The units of a packet; `length` is the number of bytes that say how long each is, or `ANNEX_B`."""
    if length == ANNEX_B:
        marks = [match.start() for match in _START.finditer(data)]
        return [unit for a, b in pairwise((*marks, len(data))) if (unit := data[a + 3 : b].rstrip(b"\x00"))]
    units, at = [], 0
    while at + length <= len(data):
        size = int.from_bytes(data[at : at + length], "big")
        units.append(data[at + length : at + length + size])
        at += length + size
    return [unit for unit in units if unit]


def pack(units: Iterable[bytes], length: int) -> bytes:
    """The opposite of `split`."""
    if length == ANNEX_B:
        return b"".join(b"\x00\x00\x00\x01" + unit for unit in units)
    return b"".join(len(unit).to_bytes(length, "big") + unit for unit in units)


def kind(codec: str, unit: bytes) -> int:
    """The type of a unit."""
    return unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63


def is_vcl(codec: str, unit: bytes) -> bool:
    """True for a piece of a picture."""
    return kind(codec, unit) in _H264_VCL if codec == "h264" else kind(codec, unit) < _HEVC_FIRST_NON_VCL


def is_set(codec: str, unit: bytes) -> bool:
    """True for parameter sets."""
    return kind(codec, unit) in ((H264_SPS, H264_PPS) if codec == "h264" else (HEVC_VPS, HEVC_SPS, HEVC_PPS))


def is_idr(codec: str, units: Iterable[bytes]) -> bool:
    """True for a picture at which decoding may begin and which nothing behind it reaches past.

    HEVC's other random access points (CRA, BLA) may have leading pictures that refer to what came before, and take
    their order from it.
    """
    first = next((unit for unit in units if is_vcl(codec, unit)), None)
    if first is None:
        return False
    return kind(codec, first) == H264_IDR if codec == "h264" else kind(codec, first) in _HEVC_IDR


def unescaped(unit: bytes) -> bytes:
    """Without the bytes that keep start codes from arising within a unit."""
    return unit.replace(b"\x00\x00\x03", b"\x00\x00")


def escaped(raw: bytes) -> bytes:
    """With them."""
    out, zeros = bytearray(), 0
    for byte in raw:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def bits(raw: bytes) -> str:
    """As zeros and ones."""
    return format(int.from_bytes(raw, "big"), f"0{8 * len(raw)}b") if raw else ""


def from_bits(text: str) -> bytes:
    """The opposite of `bits`; filled up with zeros."""
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def exp_golomb(value: int) -> str:
    """ue(v), section 9.1 of H.264 and 9.2 of H.265."""
    code = format(value + 1, "b")
    return "0" * (len(code) - 1) + code


def read_exp_golomb(text: str, at: int) -> tuple[int, int]:
    """The value that begins at bit `at`, and the bit behind it."""
    zeros = text.index("1", at) - at
    end = at + 2 * zeros + 1
    return int(text[at + zeros : end], 2) - 1, end
