from __future__ import annotations

import av
import numpy as np
import pytest

from vtid.media.frame import PlanarFrame, upright
from vtid.media.pixels import planar_format, to_planar

FORMATS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "gray", "gray10le"]


def noise(pixel_format, width=67, height=45):
    """A frame of random samples, of an odd width so that lines are padded."""
    rng = np.random.default_rng(5)
    frame = av.VideoFrame(width, height, pixel_format)
    depth = max(part.bits for part in frame.format.components)
    dtype = np.uint8 if depth == 8 else np.uint16
    for plane in frame.planes:
        samples = np.frombuffer(plane, dtype)
        samples[:] = rng.integers(0, 1 << depth, samples.size, dtype=dtype)
    return PlanarFrame(frame, index=0, pts=0, time_s=0.0)


def samples(frame):
    """A copy of every plane, padding left out."""
    dtype = np.uint8 if frame.bit_depth == 8 else np.uint16
    planes = []
    for plane in frame.av.planes:
        lines = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype().itemsize)
        planes.append(lines[: plane.height, : plane.width].copy())
    return planes


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_painting_what_was_read_changes_nothing(pixel_format):
    frame = noise(pixel_format)
    before = samples(frame)
    box = (4, 6, 30, 24)
    frame.paint(box, frame.yuv(box), np.ones((18, 26), bool))
    for was, is_now in zip(before, samples(frame), strict=True):
        np.testing.assert_array_equal(is_now, was)


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_paint_leaves_every_other_sample_as_it_is(pixel_format):
    frame = noise(pixel_format)
    before = samples(frame)
    box = (5, 7, 36, 30)  # odd corners: the first chroma samples are shared with pixels outside
    mask = np.random.default_rng(1).random((23, 31)) < 0.2
    frame.paint(box, np.full((23, 31, 3), 77.25, np.float32), mask)

    whole = np.zeros((frame.height, frame.width), bool)
    whole[7:30, 5:36] = mask
    for was, is_now in zip(before, samples(frame), strict=True):
        touched = cells(whole, was.shape)
        np.testing.assert_array_equal(is_now[~touched], was[~touched])
        assert (is_now[touched] == round(77.25 * (1 << (frame.bit_depth - 8)))).all()


def cells(mask, shape):
    """The samples of a plane that lie under a masked pixel."""
    down, across = round(mask.shape[0] / shape[0]), round(mask.shape[1] / shape[1])
    padded = np.zeros((shape[0] * down, shape[1] * across), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return padded.reshape(shape[0], down, shape[1], across).any(axis=(1, 3))


def test_a_chroma_sample_is_the_mean_of_the_masked_pixels_over_it():
    frame = noise("yuv420p")
    yuv = np.zeros((2, 2, 3), np.float32)
    yuv[..., 1] = [[10, 20], [30, 200]]
    frame.paint((8, 8, 10, 10), yuv, np.array([[True, True], [True, False]]))
    assert samples(frame)[1][4, 4] == 20


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_reading(pixel_format):
    frame = noise(pixel_format)
    planes = samples(frame)
    scale = 1 << (frame.bit_depth - 8)
    yuv = frame.yuv((3, 1, 66, 44))
    assert yuv.dtype == np.float32
    assert yuv.shape == (43, 63, 3)
    np.testing.assert_allclose(yuv[..., 0], planes[0][1:44, 3:66] / scale)
    eight = frame.yuv8((3, 1, 66, 44))
    assert eight.dtype == np.uint8
    assert np.abs(eight - np.minimum(yuv, 255)).max() <= (0 if scale == 1 else 0.5)
    np.testing.assert_array_equal(frame.luma(), planes[0] // scale)
    np.testing.assert_array_equal(frame.luma((3, 1, 66, 44)), planes[0][1:44, 3:66] // scale)
    if len(planes) == 1:
        assert (yuv[..., 1:] == 128).all()
    else:
        down, across = round(45 / planes[1].shape[0]), round(67 / planes[1].shape[1])
        assert yuv[10, 20, 1] == planes[1][11 // down, 23 // across] / scale
    assert frame.bgr().shape == (45, 67, 3)
    assert frame.bgr(max_width=32).shape == (21, 32, 3)


def test_values_outside_the_range_are_clipped():
    frame = noise("yuv420p10le")
    frame.paint((0, 0, 2, 2), np.array([[[-9, 300, 0]] * 2] * 2, np.float32), np.ones((2, 2), bool))
    assert [plane[0, 0] for plane in samples(frame)] == [0, 1023, 0]


@pytest.mark.parametrize("box", [(0, 0, 68, 10), (-1, 0, 5, 5), (5, 5, 5, 9)])
def test_a_box_outside_the_picture_is_refused(box):
    with pytest.raises(ValueError, match="does not lie inside the 67×45 picture"):
        noise("yuv420p").yuv(box)


def test_arrays_that_do_not_fit_the_box_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        noise("yuv420p").paint((0, 0, 4, 4), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize(
    ("pixel_format", "planar"),
    [
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("yuyv422", "yuv422p"),
        ("yuv411p", "yuv422p"),
        ("yuv440p", "yuv444p"),
        ("rgb24", "yuv444p"),
        ("bgra", "yuva444p"),
        ("pal8", "yuv444p"),
        ("gbrp10le", "yuv444p10le"),
        ("yuv420p16le", "yuv420p12le"),
        ("gray16be", "gray12le"),
        ("yuvj422p", "yuvj422p"),
        ("yuva420p", "yuva420p"),
    ],
)
def test_the_nearest_planar_format(pixel_format, planar):
    assert planar_format(pixel_format) == planar


def test_full_range_is_not_squeezed():
    frame = av.VideoFrame(32, 32, "nv12")
    frame.color_range, frame.colorspace = 2, 1
    np.frombuffer(frame.planes[0], np.uint8)[:] = 255
    np.frombuffer(frame.planes[1], np.uint8)[:] = 128
    planar = to_planar(frame)
    assert (planar.format.name, planar.color_range, planar.colorspace) == ("yuv420p", 2, 1)
    assert np.frombuffer(planar.planes[0], np.uint8)[:32].tolist() == [255] * 32


@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (90, (-1, 0)), (180, (-1, -1)), (270, (0, -1))])
def test_upright_turns_counter_clockwise(rotation, corner):
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[0, 0] = 255
    assert upright(picture, rotation)[corner].tolist() == [255] * 3
