"""Dividing films, and one header for two encodings: the parts of smart render that need no film."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import av
import pytest

from vtid.domain.rendering import Span, merged
from vtid.media.smart import nal
from vtid.media.smart.headers import Numbers, Unjoinable, free_numbers, joined, length_size, parameter_sets, renumbered
from vtid.media.smart.spans import divide
from vtid.media.synth import Look


def spans(*args):
    return [(s.first, s.last, s.copied) for s in divide(*args)]


STARTS, ENDS = [0, 20, 40, 60, 80], sorted({*range(0, 100, 4), 100})


@pytest.mark.parametrize(
    ("touched", "splits", "least", "expected"),
    [
        ([], [], 1, [(0, 100, True)]),
        ([(50, 51)], [], 1, [(0, 48, True), (48, 60, False), (60, 100, True)]),
        ([(50, 51)], [], 9, [(0, 40, True), (40, 60, False), (60, 100, True)]),
        ([(40, 41)], [], 1, [(0, 40, True), (40, 60, False), (60, 100, True)]),
        ([(59, 61)], [], 1, [(0, 56, True), (56, 80, False), (80, 100, True)]),
        ([(0, 100)], [30, 60, 65], 10, [(0, 30, False), (30, 60, False), (60, 100, False)]),
        ([(0, 100)], [5, 95], 10, [(0, 100, False)]),
        ([(0, 100)], [0, 100, 50, -3, 400], 10, [(0, 50, False), (50, 100, False)]),
        ([(5, 6), (25, 30)], [22], 1, [(0, 4, True), (4, 20, False), (20, 24, True), (24, 40, False), (40, 100, True)]),
        ([(90, 300)], [], 1, [(0, 88, True), (88, 100, False)]),
    ],
)
def test_films_are_divided(touched, splits, least, expected):
    assert spans(100, STARTS, ENDS, touched, splits, least) == expected


def test_without_starts_nothing_is_copied():
    assert spans(100, [], [], [], [40], 10) == [(0, 40, False), (40, 100, False)]


def test_what_comes_before_the_first_start_is_rendered():
    assert spans(100, [30], [0, 30, 100], [], [], 10) == [(0, 30, False), (30, 100, True)]


@pytest.mark.parametrize("seed", range(40))
def test_every_division_covers_the_film_and_copies_nothing_that_is_touched(seed):
    dice = random.Random(seed)
    frames = dice.randint(1, 400)
    starts = sorted({0, *dice.sample(range(frames), dice.randint(0, frames // 3))})
    ends = sorted({frames, *starts, *dice.sample(range(frames), frames // 2)})
    touched = [(a := dice.randrange(frames), a + dice.randint(0, 30)) for _ in range(dice.randint(0, 6))]
    splits, least = dice.sample(range(frames), frames // 4), dice.randint(1, 40)
    found = divide(frames, starts, ends, touched, splits, least)
    assert (found[0].first, found[-1].last) == (0, frames)
    assert all(a.last == b.first and not (a.copied and b.copied) for a, b in pairwise(found))
    hit = {frame for first, last in touched for frame in range(first, min(last, frames))}
    for span in found:
        assert span.first < span.last
        if span.copied:
            assert span.first in starts
            assert span.last in ends
            assert not hit & set(range(span.first, span.last))
    for start, end in pairwise([*starts, frames]):
        if not hit & set(range(start, end)):
            assert any(span.copied and span.first <= start < end <= span.last for span in found)
    assert found == divide(frames, starts, ends, tuple(reversed(touched)), sorted(splits), least)


def test_ranges_are_put_in_order():
    assert merged([(5, 9), (1, 3), (8, 20), (3, 4), (7, 7), (-5, 0), (18, 99)], 30) == ((1, 4), (5, 30))
    assert Span(3, 9, False).frames == 6


@pytest.mark.parametrize("length", [nal.ANNEX_B, 1, 2, 4])
def test_units_are_taken_apart_and_put_together(length):
    units = [b"\x65\x00\x00\x03\x01", b"\x41\x9a", b"\x06\x05\xff\x80"]
    assert nal.split(nal.pack(units, length), length) == units
    assert nal.split(b"", length) == []


def test_start_codes_may_be_short():
    assert nal.split(b"\x00\x00\x01\x09\x10\x00\x00\x00\x01\x67\x42\x00\x00\x01\x68\xce", nal.ANNEX_B) == [
        b"\x09\x10",
        b"\x67\x42",
        b"\x68\xce",
    ]


@pytest.mark.parametrize("value", [0, 1, 2, 6, 7, 30, 254])
def test_exp_golomb_there_and_back(value):
    code = nal.exp_golomb(value)
    assert nal.read_exp_golomb(f"010{code}1", 3) == (value, 3 + len(code))


def test_nothing_within_a_unit_looks_like_a_start_code():
    raw = bytes.fromhex("00000000000100000200000300000004")
    safe = nal.escaped(raw)
    assert nal.unescaped(safe) == raw
    assert not any(code in safe for code in (b"\x00\x00\x00", b"\x00\x00\x01", b"\x00\x00\x02"))


# --- headers, as encoders and muxers write them


def rendered_header(encoder, **options):
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt, context.time_base = 128, 96, "yuv420p", Fraction(1, 25)
    context.flags |= av.codec.context.Flags.global_header
    context.options = {"x265-params": "log-level=error"} if encoder == "libx265" else options
    context.open()
    return bytes(context.extradata)


def copied_header(clip, **options):
    with av.open(str(clip(seconds=0.2, audio=False, **options))) as container:
        return bytes(container.streams.video[0].codec_context.extradata)


@pytest.mark.parametrize(("codec", "encoder"), [("h264", "libx264"), ("hevc", "libx265")])
def test_headers_are_joined_again_and_again_under_new_numbers(codec, encoder, clip):
    header = copied_header(clip, codec=encoder)
    sets = parameter_sets(codec, header)
    used = set()
    for more in range(1, 6):
        numbers = free_numbers(codec, header)
        assert numbers not in used
        used.add(numbers)
        params = {"x264-params": f"sps-id={numbers.sps}"} if codec == "h264" else {}
        joint = joined(codec, header, rendered_header(encoder, **params), numbers)
        assert length_size(codec, joint) == length_size(codec, header) == 4
        assert set(sets) < set(parameter_sets(codec, joint))
        assert len(set(parameter_sets(codec, joint))) == len(sets) * (more + 1)
        header = joint


def test_the_level_of_a_joint_header_holds_for_both(clip):
    low = copied_header(clip, look=Look(options={"x264-params": "level=1.1"}))
    joint = joined("h264", low, rendered_header("libx264", **{"x264-params": "sps-id=1:level=5.1"}), Numbers(0, 1, 1))
    assert (low[3], joint[3]) == (11, 51)
    assert joint[1] == low[1] == 100


def test_other_profiles_are_not_joined(clip):
    main = copied_header(clip, look=Look(options={"profile": "main"}))
    with pytest.raises(Unjoinable, match="profile"):
        joined("h264", main, rendered_header("libx264", **{"x264-params": "sps-id=1"}), Numbers(0, 1, 1))
    ten_bits = copied_header(clip, codec="libx265", pix_fmt="yuv420p10le")
    with pytest.raises(Unjoinable, match="profile"):
        joined("hevc", ten_bits, rendered_header("libx265"), Numbers(1, 1, 16))


def test_a_header_may_be_full(clip):
    header = copied_header(clip)
    sps, pps = parameter_sets("h264", header)
    many = [
        nal.escaped(nal.from_bits(nal.bits(sps[:4]) + nal.exp_golomb(n) + nal.bits(sps[4:])[1:])) for n in range(31)
    ]
    full = header[:5] + bytes([0xE0 | 31]) + nal.pack(many, 2) + b"\x01" + nal.pack([pps], 2)
    with pytest.raises(Unjoinable, match="room"):
        joined("h264", full, rendered_header("libx264", **{"x264-params": "sps-id=31"}), Numbers(0, 31, 31))
    with pytest.raises(Unjoinable, match="no parameter sets"):
        free_numbers("h264", b"")


@pytest.mark.parametrize("kind", [1, 8, 19, 21])
@pytest.mark.parametrize("pps", [16, 23, 30])
def test_slices_move_by_one_byte_and_change_in_nothing_else(kind, pps):
    flags = "10" if kind >= 16 else "1"
    unit = bytes([kind << 1, 1]) + nal.from_bits((flags + "1" + "0110101")[:8]) + b"\x12\x00\x00\x03\x01\x80"
    moved = renumbered(unit, Numbers(1, 1, pps))
    assert len(moved) == len(unit) + 1
    assert (moved[:2], moved[4:]) == (unit[:2], unit[3:])
    assert 0 not in moved[2:4]
    text = nal.bits(moved[2:])
    assert text[: len(flags)] == flags
    number, end = nal.read_exp_golomb(text, len(flags))
    assert number == pps
    assert text[end:] == nal.bits(unit[2:])[len(flags) + 1 :]


def test_pictures_of_an_unknown_numbering_are_not_renumbered():
    with pytest.raises(Unjoinable, match="not known"):
        renumbered(bytes([2, 1, 0b10100000]), Numbers(1, 1, 16))
