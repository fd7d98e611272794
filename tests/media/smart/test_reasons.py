"""Where nothing can be copied, and where a film hides what is in it: the plan says so, and the result is right."""

from __future__ import annotations

import av
import numpy as np
import pytest

from tests.media.smart.films import (
    MIDDLE,
    X264,
    X265,
    decoded,
    gray,
    kinds,
    render_all,
    require_edited,
    require_seamless,
    smart,
)
from vtid.media.synth import Look
from vtid.sdk import EncodeOptions

REASONS = {
    "another codec": (
        "a.mp4",
        "b.mp4",
        {},
        {"options": EncodeOptions(codec="hevc")},
        "h264, and edited frames are encoded by libx265",
    ),
    "avi": ("a.avi", "b.avi", {"codec": "mpeg4"}, {}, "does not say when each frame is shown"),
    "to avi": ("a.mp4", "b.avi", {"audio": False}, {}, "AVI does not say"),
    "av1": (
        "a.mp4",
        "b.mp4",
        {"codec": "libsvtav1", "look": Look(options={"preset": "12"})},
        {},
        "av1 is a codec of which",
    ),
    "vp8": ("a.webm", "b.webm", {"codec": "libvpx"}, {}, "never shown"),
    "mpeg2": ("a.mkv", "b.mkv", {"codec": "mpeg2video"}, {}, "mpeg2video is a codec of which"),
    "ts to mp4": ("a.ts", "b.mp4", {}, {}, "between the pictures"),
    "interlaced hevc": (
        "a.mp4",
        "b.mp4",
        {"codec": "libx265", "look": Look(interlaced=True, options=X265)},
        {},
        "encoded by libx264",
    ),
    "ffv1 of another kind": ("a.mkv", "b.mkv", {"codec": "ffv1"}, {}, "FFV1 is set up in another way"),
    "not wanted": ("a.mp4", "b.mp4", {}, {"copy": False}, "copying was not wanted"),
    "other count": ("a.mp4", "b.mp4", {}, {"counted": 24}, "decoding gave 24 frames, and its packets tell of 25"),
}


@pytest.mark.parametrize("case", REASONS)
def test_where_nothing_can_be_copied_the_plan_says_why_and_all_is_rendered(case, media, clip, packets, tmp_path):
    name, target_name, options, wishes, words = REASONS[case]
    source, target = clip(name, **options), tmp_path / target_name

    plan, result = smart(media, source, target, [(10, 12)], splits=[14], **wishes)

    assert words in plan.reason
    assert result.reason == plan.reason
    assert (result.copied_frames, result.rendered_frames, result.frames) == (0, 25, 25)
    assert [f.time_s for f in media.frames(target)] == [f.time_s for f in media.frames(source)]
    assert len(packets(target)["audio"]) == len(packets(source)["audio"])
    require_edited(media, source, target, [(10, 12)])


def test_ffv1_as_it_is_encoded_here_is_copied(media, clip, tmp_path):
    source, target = tmp_path / "a.mkv", tmp_path / "b.mkv"
    media.rewrite(clip("plain.mkv", codec="ffv1"), source, iter)
    plan, _ = smart(media, source, target, [(10, 12)])
    assert kinds(plan) == [(0, 10, "copied"), (10, 12, "rendered"), (12, 25, "copied")]
    before, after = decoded(source), decoded(target)
    assert all(
        np.array_equal(a[1], b[1]) for at, (a, b) in enumerate(zip(before, after, strict=True)) if not 10 <= at < 12
    )


def test_frames_that_an_edit_list_hides_are_neither_counted_nor_copied(media, clip, tmp_path):
    source, target = tmp_path / "cut.mp4", tmp_path / "b.mp4"
    with (
        av.open(str(clip("whole.mp4", seconds=3, audio=False, look=Look(options=X264)))) as whole,
        av.open(str(source), "w") as out,
    ):
        stream = out.add_stream_from_template(whole.streams[0], opaque=True)
        for packet in whole.demux(video=0):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - 6 * 512, packet.dts - 6 * 512, stream
                out.mux(packet)
    assert len(list(media.frames(source))) == 69
    plan, _ = smart(media, source, target, MIDDLE, counted=69)
    assert kinds(plan)[0] == (0, 19, "rendered")
    assert plan.spans[1].copied
    require_seamless(media, source, target, plan, MIDDLE)


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
@pytest.mark.parametrize("name", ["cut.ts", "cut.mkv"])
def test_a_recording_may_begin_anywhere(encoder, name, media, clip, tmp_path):
    source, target = tmp_path / name, tmp_path / f"b{name}"
    params = "log-level=error:keyint=20:open-gop=1:scenecut=0" if encoder == "libx265" else "keyint=20:scenecut=0"
    look = Look(options={"x265-params" if encoder == "libx265" else "x264-params": params})
    whole = clip(f"a{name}", seconds=4, audio=False, codec=encoder, look=look)
    with av.open(str(whole)) as container, av.open(str(source), "w") as out:
        stream = out.add_stream_from_template(container.streams[0], opaque=True)
        for packet in [packet for packet in container.demux(video=0) if packet.size][7:]:
            packet.stream = stream
            out.mux(packet)
    frames = len(list(media.frames(source)))
    assert 70 < frames <= 80
    plan = media.plan(source, target, [(50, 52)], counted=frames)
    assert plan.reason is None or encoder == "libx265"  # of which no group is closed
    result = media.join(source, target, plan, render_all(media, source, plan, tmp_path, gray([(50, 52)])))
    assert result.frames == frames
    assert [f.time_s for f in media.frames(target)] == [f.time_s for f in media.frames(source)]
    require_edited(media, source, target, [(50, 52)])


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_container_may_not_know_its_key_frames(name, media, clip, tmp_path):
    """And so cannot be seeked in."""
    plain, source, target = (
        clip(seconds=3, audio=False, look=Look(options=X264)),
        tmp_path / name,
        tmp_path / f"b{name}",
    )
    with av.open(str(plain)) as container, av.open(str(source), "w") as out:
        stream = out.add_stream_from_template(container.streams[0], opaque=True)
        for packet in container.demux(video=0):
            if packet.size:
                packet.is_keyframe, packet.stream = False, stream
                out.mux(packet)
    plan, result = smart(media, source, target, MIDDLE)
    assert result.frames == 75
    assert [span.copied for span in plan.spans] == [True, False, True]
    require_seamless(media, source, target, plan, MIDDLE)
