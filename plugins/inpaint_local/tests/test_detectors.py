"""The detectors behind their interface: the default on seven scripts, models of the operator's, and what is missing."""

from __future__ import annotations

import builtins
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import rapidocr

import vtid_inpaint_local
from tests import onnxfile
from vtid.media.synth import Subtitle, draw_clip
from vtid.models import Store
from vtid.sdk import InvalidInput, Model, NeedsAttention, Video
from vtid.testing import run_step
from vtid_inpaint_local import dbnet, detect, detectors, easy, rapid, subnormal
from vtid_inpaint_local.dbnet import DbNet, lines
from vtid_inpaint_local.geometry import cover
from vtid_inpaint_local.kinds import KINDS
from vtid_inpaint_local.network import Network
from vtid_inpaint_local.params import Inputs, Params, Settings
from vtid_inpaint_local.step import Remove

from .conftest import ListMedia, texture

SCRIPTS = sorted(path.stem for path in (Path(__file__).parent / "scripts").glob("*.png"))
PP_OCR = Path(rapidocr.__file__).parent / "models" / "PP-OCRv6_det_small.onnx"
INSPECT = {kind.name: kind.inspect for kind in KINDS}


@cache
def the_default():
    return detectors.choose("auto", threads=1, model_dir=None, models=Store(Path("nowhere")))


def written(script, at=(20, 300), shape=(360, 640)):
    """A line of that script in white with a dark outline over a texture, YUV; and its box."""
    fill = cv2.imread(str(Path(__file__).parent / "scripts" / f"{script}.png"), cv2.IMREAD_GRAYSCALE)
    h, w = fill.shape
    alpha = np.zeros(shape, np.uint8)
    alpha[at[1] : at[1] + h, at[0] : at[0] + w] = fill
    rim = cv2.dilate(alpha, np.ones((5, 5), np.uint8))
    out = texture(*shape).astype(np.float32)
    for a, value in ((rim, 16), (alpha, 235)):
        part = (a / 255.0)[..., None]
        out = out * (1 - part) + part * np.array([value, 128, 128])
    return out.astype(np.uint8), (at[0], at[1], at[0] + w, at[1] + h)


def bgr(yuv):
    return cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR)


def seen(found, box):
    """Share of the box that the detector's boxes cover."""
    inside = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
    for x0, y0, x1, y1 in (map(round, f.box) for f in detect.boxes_of(found)):
        inside[max(0, y0 - box[1]) : max(0, y1 - box[1]), max(0, x0 - box[0]) : max(0, x1 - box[0])] = True
    return inside.mean()


# --- the default ------------------------------------------------------------------------------------------------------


def test_the_pictures_of_the_scripts_are_there():
    assert {"arabic", "chinese", "cyrillic", "devanagari", "latin"} <= set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_default_detector_finds_text_of_every_script(script):
    picture, box = written(script)
    assert seen(the_default().boxes(bgr(picture)), box) > 0.9
    assert seen(the_default().boxes(bgr(texture(360, 640))), box) == 0


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_text_of_every_script_is_taken_for_text_and_removed(script, context, tmp_path):
    picture, box = written(script)
    plain = texture(360, 640)
    path = tmp_path / "film.mp4"
    media = ListMedia({path: [picture if 6 <= i < 26 else plain for i in range(32)]})
    report = Remove().run(context(media), Params(), Inputs(Video(path))).report
    assert [(e.start_s, e.end_s) for e in report.events] == [(0.24, 1.04)]
    at = report.events[0].at
    found = tuple(round(v) for v in (at.x * 640, at.y * 360, (at.x + at.width) * 640, (at.y + at.height) * 360))
    assert cover(box, found) > 0.9


@cache
def rapidocr_itself():
    return rapid.engine(1, 960)


def turned(picture):
    return cv2.warpAffine(picture, cv2.getRotationMatrix2D((320, 180), 7, 1), (640, 360))


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "shown",
    [
        lambda picture: picture,
        turned,
        lambda picture: cv2.resize(picture, (1500, 844)),
        lambda picture: cv2.resize(picture, (2400, 1350)),
        lambda picture: picture[290:350],
        lambda picture: picture[305:325],
    ],
    ids=["whole", "turned", "large", "very large", "long", "low"],
)
def test_looks_and_texts_are_rapidocrs(script, shown):
    picture = bgr(written(script)[0])
    picture[40:120] = picture[260:340]  # two lines
    picture = np.ascontiguousarray(shown(picture))
    with subnormal.as_zero():
        found = rapidocr_itself()(picture, use_det=True, use_cls=False, use_rec=False)
        text = rapidocr_itself()(picture, use_det=False, use_cls=False, use_rec=True)
    ours = the_default().boxes(picture)
    theirs = [] if found.boxes is None else [rapid.bounds(quad) for quad in found.boxes]
    assert [one.box for one in ours] == [pytest.approx(box, abs=0.01) for box in theirs]
    assert sorted(one.score for one in ours) == pytest.approx(sorted(found.scores or ()), abs=1e-4)
    said, sure = the_default().read(picture)
    assert said == (text.txts[0].strip() if text.txts else "")
    assert sure == pytest.approx(text.scores[0] if text.txts else 0, abs=1e-3)


def test_where_rapidocr_has_other_files_it_is_asked_itself(monkeypatch):
    monkeypatch.setattr(rapid.ppocr, "model_file", lambda kind: None)
    picture = bgr(written("latin")[0])
    asked = rapid.RapidOcr(threads=1)
    assert [one.box for one in asked.boxes(picture)] == [one.box for one in the_default().boxes(picture)]
    assert asked.read(picture[300:350])[0] == the_default().read(picture[300:350])[0]


def test_what_is_next_to_zero_is_zero_while_a_network_runs_and_changes_nothing_that_is_found(monkeypatch):
    tiny = np.full(4, 1e-38, np.float32)
    with subnormal.as_zero():
        inside = tiny * np.float32(0.1)
    assert not inside.any() or not subnormal.possible()
    assert (tiny * np.float32(0.1)).all()
    picture, _ = written("latin")
    found = the_default().boxes(bgr(picture))
    monkeypatch.setattr(subnormal, "possible", lambda: False)
    assert the_default().boxes(bgr(picture)) == found


# --- models -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "models")


def add(store, file, kind="text-detector", name="mine"):
    return store.add(file, INSPECT[kind], name=name, kind=kind, licence="MIT", commercial=True)


def test_a_network_of_pp_ocr_finds_what_rapidocr_finds_with_it(store):
    add(store, PP_OCR)
    mine = detectors.choose("model:mine", threads=1, model_dir=None, models=store)
    assert mine.name == "model:mine"
    for script in ("latin", "chinese"):
        picture, box = written(script)
        theirs = detect.boxes_of(the_default().boxes(bgr(picture)))
        ours = detect.boxes_of(mine.boxes(bgr(picture)))
        assert len(ours) == len(theirs) == 1
        assert ours[0].box == pytest.approx(theirs[0].box, abs=6)
        assert ours[0].score == pytest.approx(theirs[0].score, abs=0.15)
        assert seen(ours, box) > 0.9
        line = bgr(picture)[box[1] - 8 : box[3] + 8, box[0] - 8 : box[2] + 8]
        assert mine.read(line) == the_default().read(line)
        assert mine.read(line)[1] > 0.8


def test_without_a_reader_nothing_is_read(store, monkeypatch, tmp_path):
    add(store, onnxfile.detector(tmp_path / "d.onnx"))
    monkeypatch.setattr(detectors, "importable", list)
    detector = detectors.choose("model:mine", threads=1, model_dir=None, models=store)
    assert detector.read(np.zeros((30, 200, 3), np.uint8)) is None


def bars():
    """Two bright bars on dark, and their boxes."""
    picture = np.full((120, 200, 3), 40, np.uint8)
    boxes = [(30, 20, 110, 34), (60, 80, 180, 100)]
    for x0, y0, x1, y1 in boxes:
        picture[y0:y1, x0:x1] = 250
    return picture, boxes


@pytest.mark.parametrize(("size", "scale"), [(("h", "w"), 1), ((160, 224), 1), ((64, 96), 1), (("h", "w"), 8)])
def test_boxes_are_those_of_the_picture_whatever_size_the_network_takes(tmp_path, size, scale):
    onnxfile.detector(tmp_path / "d.onnx", size=size, reach=3)
    picture, boxes = bars()
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    found = DbNet(Model("d", "text-detector", tmp_path / "d.onnx"), threads=1).boxes(picture)
    assert len(found) == 2
    for one, box in zip(sorted(found, key=lambda f: f.box[1]), boxes, strict=True):
        h = box[3] - box[1]
        assert np.abs(np.array(one.box) / scale - box).max() < 1.1 * h  # grown back by as much as DB shrinks
        assert cover(box, tuple(round(v / scale) for v in one.box)) > 0.95
        assert one.score > 0.9


def test_lines_of_a_map_are_grown_back_and_scored():
    chances = np.zeros((100, 300), np.float32)
    chances[40:50, 50:250] = 0.8
    chances[80:82, 10:12] = 1  # too small
    ((box, score),) = lines(chances)
    assert score == pytest.approx(0.8)
    grown = 199 * 9 * 1.6 / (199 + 9) / 2
    assert box == pytest.approx((50 - grown, 40 - grown, 249 + grown, 49 + grown), abs=0.5)


@pytest.mark.slow
def test_a_job_runs_with_a_detector_that_was_added(store, tmp_path):
    add(store, onnxfile.detector(tmp_path / "d.onnx", level=0.75, reach=25))
    clip = tmp_path / "clip.mp4"
    draw_clip(clip, seconds=2, subtitles=[Subtitle("Nobody was there", 0.4, 1.6)], audio=False)
    (tmp_path / "work").mkdir()
    params = {"detector": "model:mine", "verify": False}
    report = run_step(Remove(), tmp_path / "work", inputs={"video": clip}, params=params, models=store).report
    assert report.detector == "model:mine"
    assert any(e.start_s == pytest.approx(0.4) and e.end_s == pytest.approx(1.6) for e in report.events)


ONE_CHANNEL = {"x": (1, 1, "h", "w")}, {"out": (1, 1, "h", "w")}, {}


def wrong_size(path):
    onnxfile.write(path, [onnxfile.node("Sigmoid", "x", "out")], {"x": (1, 3, "h", "w")}, {"out": (1, 3, "h", "w")}, {})


def not_chances(path):
    nodes = [onnxfile.node("Conv", "x mean", "out")]
    ports = {"x": (1, 3, "h", "w")}, {"out": (1, 1, "h", "w")}
    onnxfile.write(path, nodes, *ports, {"mean": np.full((1, 3, 1, 1), 5.0)})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p.write_bytes(b"no such thing"), "cannot be loaded as an ONNX model"),
        (lambda p: onnxfile.inpainter(p, (0, 0, 0)), "takes one picture N×3×H×W .* This one takes image 1×3"),
        (wrong_size, "one map of the picture's size, a half or a quarter of it, not 1×3×64×96"),
        (lambda p: onnxfile.write(p, [onnxfile.node("Sin", "x", "out")], *ONE_CHANNEL), "takes one picture"),
        (not_chances, "probabilities between 0 and 1"),
    ],
)
def test_what_is_no_text_detector_is_refused_with_the_reason(store, tmp_path, make, words):
    make(tmp_path / "x.onnx")
    with pytest.raises(InvalidInput, match=words):
        add(store, tmp_path / "x.onnx")
    assert store.names() == []
    assert list(store.folder.iterdir()) == []


def test_a_file_that_has_gone_bad_since_is_a_matter_for_a_person(store, tmp_path):
    add(store, onnxfile.detector(tmp_path / "d.onnx"))
    file = store.folder / "mine" / "model.onnx"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(NeedsAttention, match="another size"):
        detectors.choose("model:mine", threads=1, model_dir=None, models=store)


def test_a_model_of_another_kind_or_name_is_refused(store, tmp_path):
    add(store, onnxfile.inpainter(tmp_path / "p.onnx", (0, 0, 0)), kind="inpainting")
    with pytest.raises(InvalidInput, match="is a model for inpainting, and one for text-detector is needed"):
        detectors.choose("model:mine", threads=1, model_dir=None, models=store)
    with pytest.raises(InvalidInput, match='There is no model "mina"; did you mean "mine"'):
        detectors.choose("model:mina", threads=1, model_dir=None, models=store)


def test_a_network_that_does_not_run_is_a_matter_for_a_person(tmp_path):
    onnxfile.detector(tmp_path / "d.onnx", size=(64, 96))
    with pytest.raises(NeedsAttention, match="does not run"):
        Network(tmp_path / "d.onnx").run(np.zeros((1, 3, 32, 32), np.float32))


def test_what_was_found_on_trial_is_told(tmp_path):
    told = dbnet.inspect(onnxfile.detector(tmp_path / "d.onnx"))
    assert told == {"takes": "x ?×3×?×?", "gives": "out ?×1×?×?"}


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"detector": "rapidocrr"}, "detector", 'did you mean "rapidocr"'),
        ({"detector": "yolo"}, "detector", '"model:NAME" for a model (text-detector)'),
        ({"detector": "model:"}, "detector", 'there is no "model:"'),
        ({"guide": "clasical"}, "guide", 'did you mean "classical"'),
    ],
)
def test_a_name_that_there_is_not_is_refused_before_the_job(params, field, words):
    (problem,) = Remove().check(Params(**params), {})
    assert problem.field == field
    assert words in problem.message


def test_the_operators_choice_is_checked_too():
    assert Settings(default_detector="model:mine").default_detector == "model:mine"
    with pytest.raises(ValueError, match='default_detector: there is no "easyocrr"; did you mean "easyocr"'):
        Settings(default_detector="easyocrr")


def test_what_the_operators_choice_lacks_is_told_before_a_job(monkeypatch, tmp_path):
    missing = {"easyocr", "torch", "onnxruntime"}
    monkeypatch.setattr(vtid_inpaint_local, "_installed", lambda name: name not in missing)
    reason = vtid_inpaint_local.vtid_not_ready
    assert "no text detector is installed" in reason(Settings())
    assert "install easyocr and torch" in reason(Settings(default_detector="easyocr"))
    assert "install onnxruntime" in reason(Settings(default_detector="model:mine"))
    missing.clear()
    chosen = Settings(default_detector="easyocr", model_dir=tmp_path)
    assert f"craft_mlt_25k.pth is not in {tmp_path}" in reason(chosen)
    (tmp_path / "craft_mlt_25k.pth").touch()
    assert reason(chosen) is None


def test_a_missing_detector_is_a_matter_for_a_person(monkeypatch, store, tmp_path):
    monkeypatch.setattr(detectors, "importable", lambda: ["rapidocr"])
    with pytest.raises(NeedsAttention, match="easyocr"):
        detectors.choose("easyocr", threads=1, model_dir=tmp_path, models=store)
    monkeypatch.setattr(detectors, "importable", list)
    with pytest.raises(NeedsAttention, match="install rapidocr"):
        detectors.choose("auto", threads=1, model_dir=None, models=store)
    real = builtins.__import__

    def no_easyocr(name, *args, **kwargs):
        if name == "easyocr":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_easyocr)
    with pytest.raises(NeedsAttention, match="EasyOCR cannot be loaded"):
        easy.EasyOcr(threads=1, model_dir=None)
