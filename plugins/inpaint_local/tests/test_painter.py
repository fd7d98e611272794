"""A network as the spatial guide: it paints where time shows nothing, and nothing else."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tests import onnxfile
from vtid.media import PyAVMedia
from vtid.media.synth import draw_clip
from vtid.models import Store
from vtid.sdk import Coordinates, InvalidInput, Region, RegionType, Video
from vtid.testing import run_step
from vtid_inpaint_local import painter
from vtid_inpaint_local.fill import Filler
from vtid_inpaint_local.kinds import KINDS
from vtid_inpaint_local.painter import choose_guide, classical, tiles, to_rgb, to_yuv
from vtid_inpaint_local.params import Inputs, Params
from vtid_inpaint_local.patch import Patch
from vtid_inpaint_local.spatial import close_holes
from vtid_inpaint_local.step import Remove

from .conftest import ListMedia, pan, texture

GREEN = (0.1, 0.8, 0.3)
AS_YUV = to_yuv(np.float32([[GREEN]]))[0, 0]
INSPECT = {kind.name: kind.inspect for kind in KINDS}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "models")


@pytest.fixture
def guide(store, tmp_path):
    """Adds a model that paints in green; gives the guide, and the model under `model:mine`."""

    def make(**how):
        file = onnxfile.inpainter(tmp_path / "p.onnx", GREEN, **how)
        store.add(file, INSPECT["inpainting"], name="mine", kind="inpainting", licence="MIT", commercial=True)
        return choose_guide("model:mine", store)

    return make


def a_hole(height=160, width=320, box=(100, 40, 220, 80)):
    hole = np.zeros((height, width), bool)
    hole[box[1] : box[3], box[0] : box[2]] = True
    return hole


VARIANTS = [{}, {"white": 255}, {"mask_first": True}, {"size": (64, 96)}, {"size": (512, 512), "white": 255}]


def test_the_classical_guess_is_made_of_what_lies_beside_the_hole():
    """And not of the branch three pixels above it."""
    pixels, hole = np.full((64, 96, 3), 200, np.uint8), np.zeros((64, 96), bool)
    pixels[:20] = 20
    hole[23:41, 20:76] = True
    guess = classical(pixels, hole, (0, 0, 96, 64))
    assert np.abs(guess[hole] - 200).max() < 2
    assert np.array_equal(guess[~hole], pixels[~hole])
    assert close_holes(pixels, hole)[hole].min() < 170  # it takes all there is
    patch = Patch(pixels, hole)
    x0, y0, x1, y1 = patch.span
    beside = classical(pixels, hole, patch.span)
    assert np.array_equal(np.moveaxis(patch.guess(classical), 0, 2), beside)
    assert np.abs(beside - guess[y0:y1, x0:x1]).max() < 2


@pytest.mark.parametrize("how", VARIANTS, ids=str)
def test_the_hole_is_painted_and_what_is_known_stays(guide, how):
    pixels, hole = texture(160, 320), a_hole()
    span = (90, 30, 230, 90)
    out = guide(**how)(pixels, hole, span)
    inside = hole[30:90, 90:230]
    assert out.shape == (60, 140, 3)
    assert np.abs(out[inside] - AS_YUV).max() < 0.5
    assert np.array_equal(out[~inside], pixels[30:90, 90:230][~inside])


def test_ten_bits_are_painted_as_eight_are(guide):
    pixels, hole = texture(160, 320), a_hole()
    span = (90, 30, 230, 90)
    deep = pixels.astype(np.uint16) * 256
    for one in (guide(), classical):
        assert np.array_equal(one(deep, hole, span), one(pixels, hole, span))


def test_the_classical_guide_knows_the_span_only():
    pixels, hole = texture(160, 320), a_hole()
    far = pixels.copy()
    far[:20] = 0
    span = (90, 30, 230, 90)
    assert np.array_equal(classical(pixels, hole, span), classical(far, hole, span))


def test_large_holes_go_in_windows_that_overlap_and_leave_nothing_out():
    hole = a_hole(600, 1400, (10, 20, 1390, 580))
    span = (4, 14, 1396, 586)
    painted = np.zeros_like(hole)
    for core, window in tiles(span, hole, (256, 384)):
        assert window[2] - window[0] <= 384
        assert window[3] - window[1] <= 256
        assert window[0] <= core[0] < core[2] <= window[2]
        assert window[1] <= core[1] < core[3] <= window[3]
        assert not painted[core[1] : core[3], core[0] : core[2]].any()
        painted[core[1] : core[3], core[0] : core[2]] = True
    assert painted[hole].all()


def test_what_one_window_painted_the_next_takes_for_known(guide, monkeypatch):
    seen = []
    one = guide(size=(64, 96))
    paint = one._paint

    def watched(network, rgb, hole):
        seen.append((rgb.copy(), hole.copy()))
        return paint(network, rgb, hole)

    monkeypatch.setattr(one, "_paint", watched)
    hole = a_hole(64, 200, (10, 20, 190, 44))
    one(texture(64, 200), hole, (4, 14, 196, 50))
    assert len(seen) > 1
    rgb, left = seen[1]
    known = np.abs(rgb - np.float32(GREEN)).max(2) < 0.01
    assert known.any()
    assert not left[known].any()


def test_colours_come_back_as_they_went():
    yuv = texture(40, 60).astype(np.float32)
    yuv[..., 1:] += np.random.default_rng(2).uniform(-20, 20, (40, 60, 2)).astype(np.float32)
    inside = (to_rgb(yuv).min(2) > 0) & (to_rgb(yuv).max(2) < 1)
    assert inside.mean() > 0.5
    assert np.abs(to_yuv(to_rgb(yuv)) - yuv)[inside].max() < 0.01
    assert to_rgb(np.float32([[[235, 128, 128], [16, 128, 128]]])) == pytest.approx(np.float32([[[1] * 3, [0] * 3]]))


def test_a_guide_goes_to_another_process_and_paints_the_same(guide):
    one = guide()
    pixels, hole = texture(160, 320), a_hole()
    other = pickle.loads(pickle.dumps(one))
    assert np.array_equal(other(pixels, hole, (90, 30, 230, 90)), one(pixels, hole, (90, 30, 230, 90)))


def test_where_time_shows_what_was_behind_the_model_says_little(guide):
    clean = pan(30, speed=6.0)
    hole = a_hole(box=(140, 60, 180, 90))
    patches = {i: Patch(p, hole) for i, p in enumerate(clean)}
    (filled,) = Filler(set(), guide()).fill(patches, 15, 16).values()
    x0, y0, x1, y1 = patches[15].span
    inside = hole[y0:y1, x0:x1]
    assert np.abs(filled - clean[15][y0:y1, x0:x1])[inside].mean() < 8


def erased(context, tmp_path, film, params, store, threads=1):
    path = tmp_path / "film.mp4"
    media = ListMedia({path: film})
    region = Region(RegionType.ERASURE, Coordinates(0.25, 0.25, 0.25, 0.25))
    out = Remove().run(
        context(media, threads=threads, models=store),
        Params(regions=[region], find_text=False, **params),
        Inputs(Video(path)),
    )
    return np.stack(media.films[out.video.path])[:, 40:80, 80:160].astype(float)


def test_the_model_paints_the_result_where_no_frame_shows_what_was_behind(guide, store, context, tmp_path):
    guide()
    film = [texture(160, 320)] * 8
    classic = erased(context, tmp_path, film, {}, store)
    painted = erased(context, tmp_path, film, {"guide": "model:mine"}, store)
    assert np.abs(painted - AS_YUV).max() <= 1
    assert np.abs(classic - AS_YUV).mean() > 20
    assert np.array_equal(painted, erased(context, tmp_path, film, {"guide": "model:mine"}, store, threads=2))


@pytest.mark.slow
def test_a_film_in_two_processes_is_painted_as_in_one(guide, store, tmp_path):
    """Real media: each process opens the model for itself."""
    guide()
    film = tmp_path / "film.mp4"
    # In very small pictures, x264 does not write the same bits every time.
    draw_clip(film, width=640, height=384, seconds=6, seed=5, audio=False)
    regions = [
        {
            "type": "erasure",
            "coordinates": {"x": 0.3, "y": 0.3, "width": 0.3, "height": 0.2},
            "startTime": a,
            "endTime": b,
        }
        for a, b in ((0.0, 2.0), (4.0, 6.0))
    ]
    params = {"regions": regions, "find_text": False, "guide": "model:mine", "crf": 4}
    results = []
    for threads in (1, 2):
        work = tmp_path / str(threads)
        work.mkdir()
        out = run_step(Remove(), work, inputs={"video": film}, params=params, models=store, threads=threads)
        frames = [f.bgr() for f in PyAVMedia().frames(out.video.path)]
        results.append(np.stack([frames[n] for n in (20, 140)]))
    assert np.array_equal(*results)
    middle = results[0][0, 140:170, 220:320].reshape(-1, 3).mean(0)  # no frame before this one shows anything
    green = np.float32(GREEN)[::-1] * 255
    assert np.abs(middle - green).max() < 30


PORTS = {"image": (1, 3, "h", "w"), "mask": (1, 1, "h", "w")}


def of_doubles(path):
    ports = {"image": (1, 3, 8, 8), "mask": (1, 1, 8, 8)}
    nodes = [onnxfile.node("Add", "image mask", "out")]
    onnxfile.write(path, nodes, ports, {"out": (1, 3, 8, 8)}, {}, type_=onnxfile.DOUBLE)


def grey(path):
    nodes = [onnxfile.node("ReduceMean", "image", "mean", axes=[1]), onnxfile.node("Add", "mean mask", "out")]
    onnxfile.write(path, nodes, PORTS, {"out": (1, 1, "h", "w")}, {})


def nothing(path):
    onnxfile.write(path, [onnxfile.node("Div", "image mask", "out")], PORTS, {"out": (1, 3, "h", "w")}, {})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (onnxfile.detector, "takes a picture 1×3×H×W and a mask 1×1×H×W .* This one takes x"),
        (lambda p: onnxfile.inpainter(p, GREEN, white=5000), r"neither in 0\.\.1 nor in 0\.\.255"),
        (of_doubles, "This one takes image 1×3×8×8"),
        (grey, "gives a picture of the same size, not 1×1×64×64"),
        (nothing, "not finite"),
    ],
)
def test_what_is_no_inpainting_model_is_refused_with_the_reason(tmp_path, make, words):
    make(tmp_path / "x.onnx")
    with pytest.raises(InvalidInput, match=words):
        painter.inspect(tmp_path / "x.onnx")
