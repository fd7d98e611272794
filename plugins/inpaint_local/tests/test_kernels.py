"""The compiled loops do what the same in NumPy does; and what happens where there is no compiler."""

from __future__ import annotations

import importlib.util
import shutil
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest

from vtid_inpaint_local import compiled, kernels, tuning
from vtid_inpaint_local.kernels import FLOW_UNIT, Crop, Crops, Pointers, Sources
from vtid_inpaint_local.places import Places

PLUGIN = Path(__file__).parents[1]
NOISE = np.random.default_rng(5)


def build():
    spec = importlib.util.spec_from_file_location("hatch_build", PLUGIN / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Compiled anew, whatever is installed."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler here (cc)")
    package = tmp_path_factory.mktemp("package")
    shutil.copy(compiled.SOURCE, package)
    assert build().compile_kernels(package)
    return compiled.load(package / "_kernels.so")


@pytest.fixture
def both(library, monkeypatch):
    """Calls a function both ways: what is compiled gives, and what NumPy gives."""

    def call(function, *arguments, **named):
        answers = []
        for which in (library, None):
            monkeypatch.setattr(compiled, "library", which)
            given = [deepcopy(a) if isinstance(a, np.ndarray | tuple) else a for a in arguments]
            out = function(*given, **named)
            answers.append(given if out is None else out)
        return answers

    return call


def smooth(height, width, sigma=2.0):
    return cv2.GaussianBlur(NOISE.random((height, width), np.float32) * 255, (0, 0), sigma)


def test_edges(both):
    gx, gy = NOISE.normal(0, 3, (2, 40, 56)).astype(np.float32)
    quick, plain = both(kernels.edges, gx * gx, gx * gy, gy * gy, 1.0)
    for one, other in zip(quick, plain, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
        assert np.ptp(one) > 0.1


@pytest.mark.parametrize(("height", "width"), [(40, 56), (2, 9), (9, 2), (2, 2), (1, 8), (8, 1)])
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_diffuse(both, height, width, steps):
    gx, gy = NOISE.normal(0, 3, (2, height, width)).astype(np.float32)
    tensor = kernels.edges(gx * gx, gx * gy, gy * gy, 1.0)
    picture = NOISE.random((height, width), np.float32) * 255
    free = (NOISE.random((height, width)) > 0.3).astype(np.float32)
    free[0, 0] = 1
    paces = [0.24, 0.9, 0.1, 0.4, 0.2, 0.7, 0.24][:steps]
    quick, plain = both(kernels.diffuse, picture, tensor, free, paces)
    assert quick[0] == pytest.approx(plain[0], abs=2e-3)
    assert np.array_equal(quick[0][free == 0], picture[free == 0])
    assert np.abs(quick[0] - picture).max() > 1


def test_a_step_along_the_flow(both):
    height, width, count = 60, 80, 900
    at = tuple(NOISE.integers(0, side, count).astype(np.int16) for side in (width, height))
    flow = np.rint(NOISE.normal(0, 4, (2, count)) / FLOW_UNIT).astype(np.int16)
    avoid = NOISE.random((height, width)) > 0.6
    places = np.flatnonzero(avoid)
    row = np.zeros(avoid.size, np.int32)
    row[places] = np.arange(places.size)
    frames = NOISE.integers(-1, 12, places.size).astype(np.int32)
    behind = Pointers(row, frames, *NOISE.normal(0, 3, (2, places.size)).astype(np.float32))
    for pointers in (behind, None):
        one, other = both(kernels.step, at, flow, avoid, pointers, number=11, oldest=2, newest=14)
        assert np.array_equal(one.frame, other.frame)
        reached = one.frame >= 0
        assert {*one.frame[reached].tolist()} == (set(range(2, 12)) if pointers else {11})
        assert 0 < reached.sum() < count
        assert one.x[reached] == pytest.approx(other.x[reached], abs=1e-4)
        assert one.y[reached] == pytest.approx(other.y[reached], abs=1e-4)


@pytest.mark.parametrize("scale", [1, 256])
def test_sources(both, scale):
    height, width, count = 30, 44, 700
    whole = {n: np.dstack([smooth(height, width) for _ in "YUV"]) for n in (3, 4, 7)}
    under = {n: NOISE.random((height, width)) > 0.7 for n in whole}
    pixels = {n: (v * scale).astype(np.uint16 if scale > 1 else np.uint8) for n, v in whole.items()}
    part = np.s_[5:27, 4:40]
    crops = {n: Crop(pixels[n], under[n], 0, 0) for n in (3, 7)}
    crops[4] = Crop(pixels[4][part].copy(), under[4][part].copy(), 4, 5)
    frame = NOISE.choice([3, 4, 7], count).astype(np.int32)
    x, y = ((NOISE.random(count) * (side - 1.02)).astype(np.float32) for side in (width, height))

    def ask(*given):
        sources = Sources(Crops(crops), *given)
        return sources.covered(), sources.luma(given[0] != 7), sources.values()

    frame[::9] = -1
    quick, plain = both(ask, frame, x, y)
    assert np.array_equal(quick[0], plain[0])
    assert quick[1] == pytest.approx(plain[1], abs=0.6)  # OpenCV's remap knows 32nds of a pixel
    assert quick[2] == pytest.approx(plain[2], abs=1.5)
    gone = (frame == 4) & ((np.rint(x) < 4) | (np.rint(x) >= 40) | (np.rint(y) < 5) | (np.rint(y) >= 27))
    assert quick[0][gone].all()
    assert 0.2 < quick[0].mean() < 0.6
    at = np.int32([[9, 12], [20, 33], [8, 5]])
    exact = both(ask, np.int32([3, 7, 4]), *np.ascontiguousarray(at[:, ::-1].T, np.float32))
    for _, luma, values in exact:
        there = np.array([pixels[n][row, column] / scale for n, (row, column) in zip((3, 7, 4), at, strict=True)])
        assert luma == pytest.approx(there[:, 0] * [1, 0, 1], abs=0.01)  # 7 is not asked for
        assert pytest.approx(there, abs=0.01) == values.T


@pytest.mark.parametrize(("height", "width"), [(40, 56), (8, 4)])
def test_normal_equations(both, height, width):
    ring = np.zeros((height, width), np.float32)
    ring[2:-2, 1:-1] = NOISE.random((height - 4, width - 2)) > 0.5
    off = NOISE.normal(0, 4, (height, width)).astype(np.float32)
    quick, plain = both(kernels.normal_equations, smooth(height, width), off, ring, 5.0, 4)
    assert quick.shape == plain.shape == (6, height // 4, max(2, width // 4))
    if width % 8 == 0:
        assert quick == pytest.approx(plain, rel=1e-4, abs=1e-2)


@pytest.fixture(params=[(3, 5, 43, 37), (0, 0, 6, 5), (1, 2, 10, 11)])
def spot(request):
    """Pixels of a plane; its sides need not be whole blocks."""
    x0, y0, x1, y1 = request.param
    near = NOISE.random((y1 - y0, x1 - x0)) > 0.4
    near[0, 0] = near[-1, -1] = True
    down, right = np.nonzero(near)
    return Places((right + x0).astype(np.int16), (down + y0).astype(np.int16), request.param, 4)


def of(spot, rows):
    """Numbers for its pixels, planes of its size, smaller planes, and some of its pixels."""
    count = spot.at.size
    planes = np.stack([smooth(spot.height, spot.width) for _ in range(3)])
    small = NOISE.normal(0, 5, (rows, *spot.size)).astype(np.float32)
    return (NOISE.random((rows, count), np.float32) * 255), planes, small, NOISE.random(count) > 0.3


def whole_blocks(spot, planes):
    """The part of small planes whose blocks have all their pixels: elsewhere OpenCV counts parts of pixels."""
    even = spot.height % 4 == 0 and spot.width % 4 == 0
    return planes if even else planes[..., :0]


def test_means_over_blocks(both, spot):
    rows, _, _, which = of(spot, 2)
    quick, plain = both(spot.means, which, rows)
    assert quick.shape == plain.shape == (3, *spot.size)
    assert whole_blocks(spot, quick) == pytest.approx(whole_blocks(spot, plain), rel=1e-4, abs=1e-3)
    assert quick[2].sum() * 16 == pytest.approx(which.sum())  # each is counted once
    assert quick[0].sum() * 16 == pytest.approx(rows[0][which].sum(), rel=1e-4)


def test_small_planes_at_the_pixels(both, spot):
    _, _, small, _ = of(spot, 2)
    quick, plain = both(spot.enlarged, small)
    assert quick == pytest.approx(plain, abs=1e-3)
    assert both(spot.enlarged, np.full_like(small, 7))[0] == pytest.approx(7)


def test_what_is_left_of_a_difference(both, spot):
    values, planes, small, which = of(spot, 3)
    quick, plain = both(spot.differences, which, planes, values)
    assert whole_blocks(spot, quick) == pytest.approx(whole_blocks(spot, plain), rel=1e-4, abs=1e-3)
    total = (planes.reshape(3, -1)[:, spot.at] - values)[:, which].sum(1)
    assert quick[:3].sum((1, 2)) * 16 == pytest.approx(total, rel=1e-3, abs=0.1)

    def ask(which, planes, small, values):
        return spot.corrected(which, planes, small, values), values

    quick, plain = both(ask, which, planes, small, values)
    assert whole_blocks(spot, quick[0]) == pytest.approx(whole_blocks(spot, plain[0]), rel=1e-3)
    assert quick[1] == pytest.approx(plain[1], abs=1e-3)
    assert np.abs(quick[1] - values).max() > 1
    left = (planes.reshape(3, -1)[:, spot.at] - quick[1])[:, which]
    assert quick[0].sum() * 16 == pytest.approx(np.square(left).mean(0).sum(), rel=1e-3)


def test_values_are_weighed_where_they_are_asked_for(both, spot):
    values, _, small, which = of(spot, 3)
    totals = NOISE.random((4, values.shape[1]), np.float32)
    ages = NOISE.integers(0, 9, values.shape[1]).astype(np.int32)
    ages[~which] = 10**6  # of what is not there
    aged = 1 / (1 + np.arange(9, dtype=np.float32))
    quick, plain = both(spot.weigh, which, np.abs(small[0]), ages, aged, values, totals)
    assert quick[-1] == pytest.approx(plain[-1], rel=1e-4, abs=1e-3)
    assert np.array_equal(quick[-1][:, ~which], totals[:, ~which])
    assert (quick[-1][3, which] != totals[3, which]).any()


def test_a_picture_is_drawn_towards_another_along_the_motion(both, spot):
    height, width = spot.height, spot.width
    picture = np.dstack([smooth(height, width) for _ in "YUV"])
    other = np.dstack([smooth(height + 4, width + 2) for _ in "YUV"])
    flow = np.rint(NOISE.normal(0, 3, (2, spot.at.size)) / FLOW_UNIT).astype(np.int16)
    flow[0, ::3] = round(0.9 * tuning.STEADY_STILL / FLOW_UNIT)  # as good as nothing
    which = NOISE.random(spot.at.size) > 0.2
    x0, y0, x1, y1 = spot._span
    where = x0 - 1, y0 - 2, x1 + 1, y1 + 2
    quick, plain = both(spot.moved, which, flow, other, where, picture)
    for one, far in zip(quick, plain, strict=True):
        assert one.shape == far.shape
    assert np.array_equal(quick.which, plain.which)
    assert 0 < quick.which.sum() <= which.sum()
    assert quick.values[quick.which] == pytest.approx(plain.values[plain.which], abs=1.5)  # OpenCV: 32nds of a pixel
    off = quick.values[quick.which] - plain.values[quick.which]
    assert abs(float(off.mean())) < 0.05  # nothing is rounded on the way
    assert quick.squares == pytest.approx(plain.squares, rel=0.1, abs=20)
    assert np.array_equal(quick.ones, plain.ones)
    one, far = (given[1] for given in both(spot.drawn, quick, picture))
    assert one == pytest.approx(far, abs=1e-2)
    assert not np.array_equal(one, picture)


def test_without_a_compiler_nothing_is_compiled_and_nothing_is_loaded(tmp_path, monkeypatch):
    shutil.copy(compiled.SOURCE, tmp_path)
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    assert not build().compile_kernels(tmp_path)
    assert compiled.load(tmp_path / "_kernels.so") is None


def test_a_source_that_does_not_compile_is_told_of_and_leaves_nothing(tmp_path, capsys):
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler here (cc)")
    (tmp_path / "kernels.c").write_text("this is no C\n")
    assert not build().compile_kernels(tmp_path)
    assert "kernels.c was not compiled" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["kernels.c"]


def test_a_library_of_another_source_is_not_taken(tmp_path, library):
    (tmp_path / "kernels.c").write_bytes(compiled.SOURCE.read_bytes() + b"\n/* changed */\n")
    assert build().compile_kernels(tmp_path)
    assert library is not None
    assert compiled.load(tmp_path / "_kernels.so") is None
