"""The clips: which text on which scene, made, cleaned and measured one by one."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from . import films
from .burn import SUBTITLES, Truth, write_over
from .measures import Finder, Meter, Quality, telea
from .processes import Cost, Failed, remove_text
from .scenes import SCENES, Scene, pictures

CRFS = (18, 20, 23)
ORACLE_CRF = 18
"""Of what a perfect remover delivers: as good as a good film is coded."""
CLEAN_CRF = 14
"""Of the film before there is text in it: what a camera or a studio delivers is coded, too."""

JOBS = tuple(
    f"{scene}-{kind}"
    for kind, scenes in (
        ("outline", "locked handheld pan fast cuts crossing"),
        ("shadow", "locked handheld pan cuts"),
        ("box", "handheld pan fast crossing"),
        ("fade", "locked handheld pan cuts"),
        ("mark", "pan fast cuts locked crossing"),
        ("ticker", "handheld pan crossing"),
    )
    for scene in scenes.split()
)
QUICK = ("fast-outline", "pan-shadow", "fast-box", "cuts-fade", "cuts-mark", "pan-ticker")
"""One of each kind, on small pictures."""


class Row(NamedTuple):
    """What came of a job."""

    job: str
    moves: bool
    """Whether what lies behind the text changes by itself; a mark over a still picture is another task."""
    ours: Quality
    box: Quality
    """Telea in the true boxes."""
    stroke: Quality
    """Telea in the true strokes, 3 pixels dilated."""
    cost: Cost
    frames: int
    fps: int

    @property
    def kind(self) -> str:
        """What is written."""
        return self.job.split("-")[1]

    @property
    def subtitle(self) -> bool:
        """Whether it comes and goes as people speak."""
        return self.kind in SUBTITLES

    @property
    def gain_box(self) -> float:
        """Over Telea in the true boxes, dB."""
        return self.ours.psnr - self.box.psnr

    @property
    def gain_stroke(self) -> float:
        """Over Telea in the true strokes, dB."""
        return self.ours.psnr - self.stroke.psnr

    @property
    def flicker_ratio(self) -> float:
        """To Telea in the true boxes."""
        return self.ours.flicker / max(1e-6, self.box.flicker)

    @property
    def ssim_ratio(self) -> float:
        """Of what is missing to 1, to Telea in the true boxes."""
        return (1 - self.ours.ssim) / max(1e-6, 1 - self.box.ssim)

    @property
    def times_real(self) -> float:
        """Speed; starting up counts, which is much of it in a clip of seconds."""
        return self.frames / self.fps / self.cost.wall_s


class Bound(NamedTuple):
    """What a perfect remover would measure: the film that never had text, coded once more."""

    job: str
    oracle: Quality
    box: Quality
    """Telea in the true boxes."""
    seen: float
    """Share of the sampled boxes in which a detector sees the text while it is there."""

    @property
    def flicker_ratio(self) -> float:
        """To Telea in the true boxes."""
        return self.oracle.flicker / max(1e-6, self.box.flicker)


class Clip(NamedTuple):
    """A scene with text, on the disk, and the truth about it."""

    job: str
    scene: Scene
    truth: Truth
    clean: Path
    burned: Path


def film(name: str, folder: Path, seed: int) -> Path:
    """Film a scene, before there is text in it; the same seed films the same one.

    Args:
        name: in `SCENES`.
        folder: for the file.
        seed: of the world.
    """
    path, scene = folder / f"{name}.clean.mp4", SCENES[name]
    films.write(path, pictures(scene, zlib.crc32(name.encode()) + seed), fps=scene.fps, crf=CLEAN_CRF)
    return path


def make(job: str, clean: Path, seed: int) -> Clip:
    """Burn text into a scene.

    Args:
        job: one of `JOBS`.
        clean: the film of its scene; the clip is written beside it.
        seed: chooses text, size, times, and how it is coded.
    """
    name, kind = job.split("-")
    scene, burned = SCENES[name], clean.with_name(f"{job}.mp4")
    rng = np.random.default_rng(zlib.crc32(job.encode()) + seed)
    crf, truth = int(rng.choice(CRFS)), write_over(scene, kind, rng)
    films.write(burned, (truth.burn(p, t) for t, p in enumerate(films.read(clean))), fps=scene.fps, crf=crf)
    return Clip(job, scene, truth, clean, burned)


def run(clip: Clip, out: Path, find: Finder) -> Row:
    """Have the text removed, and measure what came back.

    Raises:
        Failed: the command did, or frames are missing.
    """
    return measure(clip, out, remove_text(clip.burned, out), find)


def measure(clip: Clip, out: Path, cost: Cost, find: Finder | None) -> Row:
    """Measure a result, and beside it what anybody gets from `cv2.inpaint`, in one pass over the three films.

    Raises:
        Failed: frames are missing, or there are too many.
    """
    truth, count = clip.truth, clip.scene.frames
    ours, box, stroke = Meter(truth, count, find), Meter(truth, count), Meter(truth, count)
    try:
        for number, (clean, given, got) in enumerate(
            zip(films.read(clip.clean), films.read(clip.burned), films.read(out), strict=True)
        ):
            ours.add(number, clean, got, given)
            box.add(number, clean, telea(given, truth.region(number)))
            stroke.add(number, clean, telea(given, truth.strokes(number)))
    except ValueError as error:
        raise Failed(f"its frames are not those that went in ({error})") from error
    return Row(
        job=clip.job,
        moves=clip.scene.moves,
        ours=ours.result(),
        box=box.result(),
        stroke=stroke.result(),
        cost=cost,
        frames=count,
        fps=clip.scene.fps,
    )


def bound(clip: Clip, find: Finder | None) -> Bound:
    """Measure what bounds a job: no remover comes nearer to the clean film than that film itself, coded as results are.

    Where the detector sees text in it, and none in the clean film, no letter can have been left; what Telea flickers
    less than coding does by itself, nobody can flicker less; and what it does not see in the film with text, nobody
    finds by it.
    """
    truth, count = clip.truth, clip.scene.frames
    coded = clip.burned.with_suffix(".oracle.mp4")
    films.write(coded, films.read(clip.clean), fps=clip.scene.fps, crf=ORACLE_CRF)
    oracle, box, with_text = Meter(truth, count, find), Meter(truth, count), Meter(truth, count, find)
    three = zip(films.read(clip.clean), films.read(clip.burned), films.read(coded), strict=True)
    for number, (clean, given, again) in enumerate(three):
        oracle.add(number, clean, again)
        box.add(number, clean, telea(given, truth.region(number)))
        with_text.add(number, clean, given)
    return Bound(clip.job, oracle.result(), box.result(), with_text.result().residual)


def sheet(clip: Clip, out: Path, target: Path) -> None:
    """Draw what an eye should look at: before, Telea in the boxes, ours and the truth, at three moments."""
    textual = [t for t in range(clip.scene.frames) if clip.truth.boxes(t)]
    moments = {textual[len(textual) * part // 6] for part in (1, 3, 5)}
    rows = []
    for number, (clean, given, got) in enumerate(
        zip(films.read(clip.clean), films.read(clip.burned), films.read(out), strict=True)
    ):
        if number in moments:
            boxes = np.array(clip.truth.boxes(number))
            x0, y0 = np.maximum(boxes[:, :2].min(0) - 16, 0)
            x1, y1 = boxes[:, 2:].max(0) + 16
            shown = (given, telea(given, clip.truth.region(number)), got, clean)
            rows.append(np.vstack([picture[y0:y1, x0:x1] for picture in shown]))
    width = max(row.shape[1] for row in rows)
    cv2.imwrite(str(target), np.vstack([np.pad(r, [(0, 12), (0, width - r.shape[1]), (0, 0)]) for r in rows]))
