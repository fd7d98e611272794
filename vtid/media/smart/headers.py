"""One header for two encodings of the same film, so that copied and rendered pictures can be one stream.

Pictures name the parameter sets by which they are decoded by number. Where the rendered ones have numbers of their
own, the sets of both can stand in one header (`avcC`, `hvcC`), and the stream stays what players expect (`avc1`,
`hvc1`), with nothing in between. x264 takes the number as an option. x265 does not, so its sets and slices are
renumbered here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from vtid.media.smart import nal

_H264_FREE = range(1, 32)
"""x264 gives both its sets one number, and that of an SPS ends at 31."""

_HEVC_FREE = range(1, 16)

_HEVC_PPS_FREE = range(16, 31)
"""As Exp-Golomb codes, these numbers are nine bits long and 0 is one bit: with one of them for 0, all that follows in a
slice moves by exactly one byte, and neither alignment nor entry points change. Neither of the two bytes it makes is 0,
so that nothing in the slice needs escaping that did not before."""

_PTL_BITS = 96
"""profile_tier_level() without sub-layers, up to and with the level."""


class Unjoinable(Exception):
    """Two encodings that can't be one stream; the text says why."""


class Numbers(Struct, frozen=True):
    """What the rendered pictures' parameter sets are called."""

    vps: int
    sps: int
    pps: int


def length_size(codec: str, header: bytes) -> int:
    """Bytes of each unit's length in packets under this header, or `nal.ANNEX_B`."""
    if not header or header[0] != 1:
        return nal.ANNEX_B
    return (header[4] if codec == "h264" else header[21]) % 4 + 1


def parameter_sets(codec: str, header: bytes) -> list[bytes]:
    """The parameter sets in a stream's header, of either form."""
    if length_size(codec, header) == nal.ANNEX_B:
        units = nal.split(header, nal.ANNEX_B)
    else:
        units = _avcc(header) if codec == "h264" else [unit for _, units in _hvcc(header) for unit in units]
    return [unit for unit in units if nal.is_set(codec, unit)]


def free_numbers(codec: str, header: bytes) -> Numbers:
    """Numbers that a header does not use. Raises `Unjoinable` where there are none."""
    sets = parameter_sets(codec, header)
    if not sets:
        raise Unjoinable("the source's header holds no parameter sets")
    taken: defaultdict[int, set[int]] = defaultdict(set)
    for unit in sets:
        taken[nal.kind(codec, unit)].add(_number(codec, unit))
    if codec == "h264":
        number = _free(_H264_FREE, taken[nal.H264_SPS] | taken[nal.H264_PPS])
        return Numbers(0, number, number)
    return Numbers(
        _free(_HEVC_FREE, taken[nal.HEVC_VPS]),
        _free(_HEVC_FREE, taken[nal.HEVC_SPS]),
        _free(_HEVC_PPS_FREE, taken[nal.HEVC_PPS]),
    )


def _free(numbers: range, taken: set[int]) -> int:
    for number in numbers:
        if number not in taken:
            return number
    raise Unjoinable("the source's header leaves no number for another parameter set")


def _number(codec: str, unit: bytes) -> int:
    raw = nal.bits(nal.unescaped(unit)[:64])
    if codec == "h264":
        return nal.read_exp_golomb(raw, 32 if nal.kind(codec, unit) == nal.H264_SPS else 8)[0]
    kind = nal.kind(codec, unit)
    if kind == nal.HEVC_VPS:
        return int(raw[16:20], 2)
    if kind == nal.HEVC_PPS:
        return nal.read_exp_golomb(raw, 16)[0]
    return nal.read_exp_golomb(raw, _sps_number_at(raw))[0]


def _sps_number_at(raw: str) -> int:
    """The bit at which an HEVC SPS says its number: behind the profile and level of it and of its sub-layers."""
    layers = int(raw[20:23], 2)
    at = 24 + _PTL_BITS
    if layers:
        present = [(raw[at + 2 * each], raw[at + 2 * each + 1]) for each in range(layers)]
        at += 16 + sum(88 * (profile == "1") + 8 * (level == "1") for profile, level in present)
    return at


def joined(codec: str, copied: bytes, rendered: bytes, numbers: Numbers) -> bytes:
    """The header of a stream of copied and rendered pictures.

    Args:
        codec: h264 or hevc.
        copied: the source's header, avcC or hvcC.
        rendered: the encoder's, in Annex B.
        numbers: of the encoder's sets; x264 was told them, x265's are renumbered.

    Raises:
        Unjoinable: the two have different profiles, or more sets than a header holds.
    """
    added = [unit for unit in nal.split(rendered, nal.ANNEX_B) if nal.is_set(codec, unit)]
    if codec == "h264":
        return _joined_avcc(copied, added)
    return _joined_hvcc(copied, [renumbered(unit, numbers) for unit in added])


def _joined_avcc(copied: bytes, added: list[bytes]) -> bytes:
    units = _avcc(copied)
    sps = [unit for each in (units, added) for unit in each if nal.kind("h264", unit) == nal.H264_SPS]
    pps = [unit for each in (units, added) for unit in each if nal.kind("h264", unit) == nal.H264_PPS]
    if any(unit[1] != copied[1] for unit in sps):
        raise Unjoinable(f"the source's H.264 profile ({copied[1]}) is not one that is encoded here")
    if len(sps) > 31 or len(pps) > 255:
        raise Unjoinable("the source's header has no room for another parameter set")
    constraints, level = copied[2], copied[3]
    for unit in sps:
        constraints, level = constraints & unit[2], max(level, unit[3])
    head = bytes((1, copied[1], constraints, level, copied[4], 0xE0 | len(sps)))
    lists = nal.pack(sps, 2) + bytes((len(pps),)) + nal.pack(pps, 2)
    return head + lists + _avcc_rest(copied)


def _avcc(header: bytes) -> list[bytes]:
    units, _ = _avcc_walk(header)
    return units


def _avcc_rest(header: bytes) -> bytes:
    """What high profiles have behind the sets: chroma format and bit depths."""
    _, at = _avcc_walk(header)
    return header[at:]


def _avcc_walk(header: bytes) -> tuple[list[bytes], int]:
    units, at = [], 5
    for mask in (31, 255):
        count, at = header[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(header[at : at + 2], "big")
            units.append(header[at + 2 : at + 2 + size])
            at += 2 + size
    return units, at


def _joined_hvcc(copied: bytes, added: list[bytes]) -> bytes:
    sps = next(nal.unescaped(unit) for unit in added if nal.kind("hevc", unit) == nal.HEVC_SPS)
    ours = sps[3 : 3 + _PTL_BITS // 8]
    theirs = copied[1 : 1 + _PTL_BITS // 8]
    if ours[0] & 0xDF != theirs[0] & 0xDF:
        raise Unjoinable(
            f"the source's HEVC profile ({theirs[0] & 31}) is not the one that is encoded here ({ours[0] & 31})"
        )
    flags = bytes(a & b for a, b in zip(ours[1:11], theirs[1:11], strict=True))
    head = copied[:1] + bytes((ours[0] | theirs[0],)) + flags + bytes((max(ours[11], theirs[11]),)) + copied[13:22]
    arrays = _hvcc(copied)
    out = head + bytes((len(arrays),))
    for first, units in arrays:
        more = [unit for unit in added if nal.kind("hevc", unit) == first & 63]
        # 0x80: no such sets lie in the stream itself, which `hvc1` demands and the index made sure of
        mark = first | 0x80 if more else first
        out += bytes((mark,)) + (len(units) + len(more)).to_bytes(2, "big") + nal.pack((*units, *more), 2)
    return out


def _hvcc(header: bytes) -> list[tuple[int, list[bytes]]]:
    """Each array's first byte and its units."""
    arrays, at = [], 23
    for _ in range(header[22]):
        first, count = header[at], int.from_bytes(header[at + 1 : at + 3], "big")
        at, units = at + 3, []
        for _ in range(count):
            size = int.from_bytes(header[at : at + 2], "big")
            units.append(header[at + 2 : at + 2 + size])
            at += 2 + size
        arrays.append((first, units))
    return arrays


def renumbered(unit: bytes, numbers: Numbers) -> bytes:
    """A unit that x265 wrote, under other numbers than 0."""
    kind = nal.kind("hevc", unit)
    if nal.is_vcl("hevc", unit):
        return _renumbered_slice(unit, kind, numbers.pps)
    if not nal.is_set("hevc", unit):
        return unit
    raw = nal.bits(nal.unescaped(unit))
    vps = format(numbers.vps, "04b")
    if kind == nal.HEVC_VPS:
        raw = raw[:16] + vps + raw[20:]
    elif kind == nal.HEVC_SPS:
        at = _sps_number_at(raw)
        raw = raw[:16] + vps + raw[20:at] + nal.exp_golomb(numbers.sps) + _behind_zero(raw, at)
    else:
        rest = _behind_zero(raw, 16)
        raw = raw[:16] + nal.exp_golomb(numbers.pps) + nal.exp_golomb(numbers.sps) + _behind_zero(rest, 0)
    return nal.escaped(nal.from_bits(raw.rstrip("0")))


def _behind_zero(raw: str, at: int) -> str:
    """The bits behind a number that must be 0."""
    if raw[at] != "1":
        raise Unjoinable("the encoder numbers its parameter sets in a way that is not known here")
    return raw[at + 1 :]


def _renumbered_slice(unit: bytes, kind: int, pps: int) -> bytes:
    """The slice's head up to the number is one bit, or two at random access points; see `_HEVC_PPS_FREE`."""
    at = 2 if 16 <= kind <= 23 else 1
    head = nal.bits(unit[2:3])
    return unit[:2] + nal.from_bits(head[:at] + nal.exp_golomb(pps) + _behind_zero(head, at)) + unit[3:]


def without_sets(codec: str, units: Iterable[bytes]) -> list[bytes]:
    """The units that are not parameter sets: where the header holds them, they have no place in packets."""
    return [unit for unit in units if not nal.is_set(codec, unit)]
