"""EasyOCR's own code, from its reader to its boxes, on weights that the test makes. `make test-easyocr` runs this."""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest

from vtid.media.synth import Subtitle, draw_clip
from vtid.models import Store
from vtid.sdk import NeedsAttention
from vtid.testing import run_step
from vtid_inpaint_local import detect, detectors
from vtid_inpaint_local.geometry import cover
from vtid_inpaint_local.params import Settings
from vtid_inpaint_local.step import Remove

from .craft import mend_torchvision, write_weights

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("easyocr") is None, reason="EasyOCR is not installed; make test-easyocr"
    ),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*pin_memory"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with weights, and their MD5."""
    mend_torchvision()
    folder = tmp_path_factory.mktemp("easyocr")
    return folder, write_weights(folder / "craft_mlt_25k.pth")


@pytest.fixture
def weights(made, monkeypatch, tmp_path):
    """The folder, with EasyOCR told that these are the right weights."""
    import easyocr.config

    folder, md5 = made
    monkeypatch.setitem(easyocr.config.detection_models["craft"], "md5sum", md5)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


def choose(folder, tmp_path):
    return detectors.choose("easyocr", threads=2, model_dir=folder, models=Store(tmp_path))


def picture(text, at, shape=(360, 640)):
    out = np.random.default_rng(0).integers(40, 160, (*shape, 3)).astype(np.uint8)
    cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 3, cv2.LINE_AA)
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1, 3)
    return out, (at[0], at[1] - height, at[0] + width, at[1])


def test_lines_are_found_where_they_are(weights, tmp_path):
    detector = choose(weights, tmp_path)
    assert detector.name == "easyocr"
    bgr, box = picture("Nobody was there", (150, 320))
    found = detect.boxes_of(detector.boxes(bgr))
    assert sum(cover(box, tuple(map(round, f.box))) for f in found) > 0.9
    for x0, y0, x1, y1 in (f.box for f in found):
        assert box[0] - 30 < x0 < x1 < box[2] + 30
        assert box[1] - 30 < y0 < y1 < box[3] + 30
    assert detector.boxes(picture("", (150, 320))[0]) == []
    x0, y0, x1, y1 = box
    assert "Nobody" in detector.read(bgr[y0 - 8 : y1 + 12, x0 - 8 : x1 + 8])[0]  # RapidOCR reads for it


def test_a_job_runs_with_it(weights, tmp_path):
    clip = tmp_path / "clip.mp4"
    line = Subtitle("Nobody was there", 0.2, 1.0, size=0.06)
    draw_clip(clip, width=512, height=288, seconds=1.2, subtitles=[line], audio=False)
    (tmp_path / "work").mkdir()
    settings = Settings(model_dir=weights)
    params = {"detector": "easyocr", "verify": False}
    out = run_step(Remove(), tmp_path / "work", inputs={"video": clip}, params=params, settings=settings, threads=2)
    assert out.report.detector == "easyocr"
    assert {(e.start_s, e.end_s) for e in out.report.events} == {(0.2, 1.0)}


def test_weights_that_are_not_there_are_a_matter_for_a_person(weights, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NeedsAttention, match=r"missing or damaged .*craft_mlt_25k\.pth"):
        choose(tmp_path / "empty", tmp_path)
    assert list((tmp_path / "empty").iterdir()) == []  # and nothing was fetched


def test_damaged_weights_are_a_matter_for_a_person(weights, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "craft_mlt_25k.pth").write_bytes(b"not these")
    with pytest.raises(NeedsAttention, match="MD5"):
        choose(tmp_path / "bad", tmp_path)
