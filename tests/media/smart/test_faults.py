"""Smart render with damaged films, wrong parts and bad edits: refused in words, and nothing is left behind."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import av
import msgspec
import pytest

from tests.media.smart.films import MIDDLE, X264, render_all, require_edited, shown, smart
from vtid.errors import Cancelled, InvalidInput, MediaError, Misfit
from vtid.media import PyAVMedia
from vtid.media.hardware import Hardware
from vtid.media.synth import Look
from vtid.sdk import EncodeOptions, Part


def damage(path, frames):
    """Overwrite the packets of some frames, counted in the file's order."""
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for pos, size in (places[frame] for frame in frames):
        data[pos : pos + size] = b"\xff" * size
    path.write_bytes(data)


def test_a_damaged_film_is_counted_by_decoding(media, clip, tmp_path):
    source, target = clip(seconds=3, audio=False, look=Look(options=X264)), tmp_path / "b.mp4"
    damage(source, [60, 61])
    truth = [frame.pts for frame in media.frames(source)]
    assert len(truth) == 73

    plan, result = smart(media, source, target, MIDDLE, counted=len(truth), splits=[30, 50])

    assert plan.reason == "Nothing can be copied: decoding gave 73 frames, and its packets tell of 75."
    assert list(plan.pts) == truth
    assert [span.first for span in plan.spans] == [0, 30, 50]
    assert result.frames == 73
    assert [frame.pts for frame in media.frames(target)] == truth
    require_edited(media, source, target, MIDDLE)


def test_damage_elsewhere_does_no_harm_and_damage_here_is_said(media, clip, tmp_path):
    source, target = clip(seconds=3, audio=False, look=Look(options=X264)), tmp_path / "b.mp4"
    damage(source, [60])
    plan = media.plan(source, target, [(5, 8)])
    assert [span.copied for span in plan.spans] == [False, True]
    parts = render_all(media, source, plan, tmp_path, iter)
    assert media.join(source, target, plan, parts).copied_frames == 50
    assert [time for time, _ in shown(target)] == [time for time, _ in shown(source)]
    with pytest.raises(Misfit, match=r"does not decode as its packets say|do not decode"):
        render_all(media, source, media.plan(source, target, [(65, 66)]), tmp_path, iter)


def test_a_frame_that_does_not_come_is_a_misfit(media, clip, tmp_path):
    source = clip(seconds=3, audio=False, look=Look(options=X264))
    plan = media.plan(source, tmp_path / "b.mp4", MIDDLE)
    plan.pts[45] += 1
    with pytest.raises(Misfit, match="frame 45 does not decode as its packets say"):
        render_all(media, source, plan, tmp_path, iter)
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("fault", ["header", "picture", "times"])
def test_a_bad_joint_is_seen_and_nothing_is_left(fault, media, clip, tmp_path):
    source, target = clip(seconds=3, look=Look(options=X264)), tmp_path / "b.mp4"
    plan = media.plan(source, target, MIDDLE, least_frames=2)
    parts = render_all(media, source, plan, tmp_path, iter)
    if fault == "header":  # without the rendered pictures' own sets
        with av.open(str(source)) as container:
            header = bytes(container.streams.video[0].codec_context.extradata)
        joint = msgspec.structs.replace(plan.coding.joint, header=header)
        plan = msgspec.structs.replace(plan, coding=msgspec.structs.replace(plan.coding, joint=joint))
    elif fault == "picture":  # a rendered one in which not all is as the encoder wrote it
        data = parts[0].path.read_bytes()
        parts[0].path.write_bytes(data[:-200] + bytes(200))
    else:
        plan.pts[60] += 5
    with pytest.raises(Misfit):
        media.join(source, target, plan, parts)
    assert not target.exists()


@pytest.mark.parametrize("parts", ["none", "twice", "cut", "foreign", "missing"])
def test_parts_that_are_not_the_plans_are_refused(parts, media, clip, tmp_path):
    source, target = clip(seconds=3, look=Look(options=X264)), tmp_path / "b.mp4"
    plan = media.plan(source, target, MIDDLE, least_frames=2)
    (part,) = render_all(media, source, plan, tmp_path, iter)
    given = [part]
    if parts == "none":
        given = []
    elif parts == "twice":
        given = [part, part]
    elif parts == "cut":
        part.path.write_bytes(part.path.read_bytes()[:-10])
    elif parts == "foreign":
        part.path.write_bytes(source.read_bytes())
    else:
        given = [Part(tmp_path / "nowhere", part.number, part.frames)]
    with pytest.raises(Misfit):
        media.join(source, target, plan, given)
    assert not target.exists()


@pytest.mark.parametrize(
    "edit",
    [
        lambda f: list(f)[:-1],
        lambda f: list(f)[::-1],
        lambda f: [next(f)],
        lambda f: [*f, *f][1:],
        lambda f: [x for x in f for _ in "ab"],
    ],
)
def test_an_edit_that_loses_doubles_or_reorders_frames_is_a_bug(edit, media, clip, tmp_path):
    source = clip()
    plan = media.plan(source, tmp_path / "b.mp4", [(0, 25)])
    with pytest.raises(RuntimeError, match="the edit yielded"):
        media.render(source, plan, 0, tmp_path / "0.part", edit)
    assert not list(tmp_path.glob("0.part*"))


def test_a_failing_edit_leaves_nothing(media, clip, tmp_path):
    source = clip()
    plan = media.plan(source, tmp_path / "b.mp4", [(0, 25)])

    def cancelled(frames):
        yield next(frames)
        raise Cancelled

    with pytest.raises(Cancelled):
        media.render(source, plan, 0, tmp_path / "0.part", cancelled)
    assert not list(tmp_path.glob("0.part*"))


def test_sound_is_never_dropped(media, clip, tmp_path):
    source, target = clip(), tmp_path / "b.webm"
    plan = media.plan(source, target, [(0, 25)], options=EncodeOptions(codec="vp9", preset="realtime"))
    parts = render_all(media, source, plan, tmp_path, iter)
    with pytest.raises(MediaError, match=r"sound would be lost.*another container"):
        media.join(source, target, plan, parts)
    assert not target.exists()


def test_wrong_calls_are_refused(media, clip, tmp_path):
    source = clip()
    with pytest.raises(InvalidInput, match="names no container"):
        media.plan(source, tmp_path / "b.xyz", [])
    plan = media.plan(source, tmp_path / "b.mp4", [])
    with pytest.raises(ValueError, match="nothing to render"):
        media.render(source, plan, 0, tmp_path / "0.part", iter)
    with pytest.raises(ValueError, match=r"in \.mp4"):
        media.join(source, tmp_path / "b.mkv", plan, [])


def test_prores_keeps_its_profile(media, clip, tmp_path):
    source, target = (
        clip("a.mov", codec="prores_ks", pix_fmt="yuv422p10le", look=Look(options={"profile": "lt"})),
        tmp_path / "b.mov",
    )
    media.rewrite(source, target, iter)
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.profile == "LT"


def test_media_goes_to_another_process_whoever_hears_of_its_hardware(clip, tmp_path):
    """As a step's own process makes it, where what hardware encodes is told over a channel that cannot go along."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        media = PyAVMedia(threads=2, hardware=Hardware(tell=lambda candidate: None))
        source = clip(seconds=1)
        assert pool.submit(media.probe, source).result(60) == media.probe(source)
