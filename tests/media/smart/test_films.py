"""Smart render on real files: what is copied, what is rendered, and that nobody can see where they meet."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import random
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from itertools import pairwise

import av
import msgspec
import numpy as np
import pytest

from vtid.errors import Cancelled, InvalidInput, MediaError, Misfit
from vtid.media.synth import Look
from vtid.sdk import EncodeOptions, Part

BOX = (32, 16, 64, 48)
HDR = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"


def gray(touched):
    """An edit: a gray box in the frames of some ranges, and a look at nothing else."""

    def edit(frames):
        for frame in frames:
            if any(first <= frame.index < last for first, last in touched):
                frame.paint(BOX, np.full((32, 32, 3), 128, np.float32), np.ones((32, 32), bool))
            yield frame

    return edit


def render_all(media, source, plan, folder, edit):
    return [media.render(source, plan, number, folder / f"{number}.part", edit) for number in plan.rendered]


def smart(media, source, target, touched, **wishes):
    """The three operations one after the other, the plan and the parts by way of pickle."""
    plan = pickle.loads(pickle.dumps(media.plan(source, target, touched, **{"least_frames": 2, **wishes})))
    parts = render_all(media, source, plan, target.parent, gray(touched))
    return plan, media.join(source, target, plan, pickle.loads(pickle.dumps(parts)))


def kinds(plan):
    return [(span.first, span.last, "copied" if span.copied else "rendered") for span in plan.spans]


def shown(path):
    """The packets of the video by presentation: their time in seconds, and a digest of their bytes."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [
            (p.pts * p.time_base, hashlib.md5(bytes(p)).hexdigest())
            for p in container.demux(stream)
            if p.size and not p.is_discard
        ]
    return sorted(packets, key=lambda each: each[0])


def decoded(path):
    with av.open(str(path)) as container:
        return [(f.pts * f.time_base, f.to_ndarray()) for f in container.decode(video=0)]


def psnr(a, b, peak):
    return 10 * np.log10(peak**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2)))


def require_seamless(media, source, target, plan, touched):
    """Copied spans are the source's packets and pictures to the bit, all times are exact, rendered frames look right."""
    before, after = decoded(source), decoded(target)
    assert [time for time, _ in after] == [time for time, _ in before]
    pairs = list(zip(shown(source), shown(target), strict=True))
    assert [new[0] for _, new in pairs] == [old[0] for old, _ in pairs]
    for frame in (frame for span in plan.spans if span.copied for frame in range(span.first, span.last)):
        assert pairs[frame][0] == pairs[frame][1]
        assert np.array_equal(after[frame][1], before[frame][1])
    with av.open(str(target)) as container:
        times = [p.dts for p in container.demux(video=0) if p.dts is not None]
        assert all(a < b for a, b in pairwise(times))
    require_edited(media, source, target, touched)


def require_edited(media, source, target, touched):
    """The box is gray where it should be, and nowhere else; the rest looks as it did."""
    for old, new in zip(media.frames(source), media.frames(target), strict=True):
        assert psnr(old.luma((72, 0, 128, 96)), new.luma((72, 0, 128, 96)), 255) > 34
        touched_here = any(first <= new.index < last for first, last in touched)
        assert (np.abs(new.luma((36, 20, 60, 44)).astype(int) - 128).max() < 12) == touched_here


X264 = {"g": "25"}
X265 = {"x265-params": "log-level=error:keyint=25:open-gop=0"}
HEVC = {"codec": "libx265", "look": Look(options=X265)}
CASES = {
    "mp4": ("a.mp4", "b.mp4", {"look": Look(options=X264)}),
    "mov": ("a.mov", "b.mov", {"look": Look(options=X264)}),
    "mkv": ("a.mkv", "b.mkv", {"look": Look(options=X264)}),
    "ts": ("a.ts", "b.ts", {"look": Look(options=X264)}),
    "mkv to mp4": ("a.mkv", "b.mp4", {"look": Look(options=X264)}),
    "vfr mp4": ("a.mp4", "b.mp4", {"look": Look(options=X264, vfr=True)}),
    "vfr mkv": ("a.mkv", "b.mkv", {"look": Look(options=X264, vfr=True)}),
    "no B-frames": ("a.mp4", "b.mp4", {"look": Look(options={"g": "25", "bf": "0"})}),
    "many B-frames": ("a.mp4", "b.mp4", {"look": Look(options={"g": "25", "bf": "8", "x264-params": "b-adapt=0"})}),
    "late picture mp4": ("a.mp4", "b.mp4", {"look": Look(options=X264, start_s=0.4)}),
    "late picture mkv": ("a.mkv", "b.mkv", {"look": Look(options=X264, start_s=0.4)}),
    "turned": ("a.mp4", "b.mp4", {"look": Look(options=X264, rotation=90, sample_aspect=Fraction(4, 3))}),
    "main profile": ("a.mp4", "b.mp4", {"look": Look(options={"g": "25", "profile": "main"})}),
    "baseline profile": ("a.mp4", "b.mp4", {"look": Look(options={"g": "25", "profile": "baseline"})}),
    "4:2:2 10 bit": ("a.mov", "b.mov", {"pix_fmt": "yuv422p10le", "look": Look(options=X264)}),
    "full range": ("a.mp4", "b.mp4", {"look": Look(options=X264, full_range=True)}),
    "interlaced": ("a.mp4", "b.mp4", {"look": Look(options=X264, interlaced=True)}),
    "60 frames a second": ("a.mp4", "b.mp4", {"fps": Fraction(60000, 1001), "look": Look(options=X264)}),
    "hevc mp4": ("a.mp4", "b.mp4", HEVC),
    "hevc mkv": ("a.mkv", "b.mkv", HEVC),
    "hevc ts": ("a.ts", "b.ts", HEVC),
    "hevc mkv to mp4": ("a.mkv", "b.mp4", HEVC),
    "hevc 10 bit HDR": (
        "a.mp4",
        "b.mp4",
        {
            "codec": "libx265",
            "pix_fmt": "yuv420p10le",
            "look": Look(matrix="bt2020", transfer="pq", options={"x265-params": f"{X265['x265-params']}:{HDR}"}),
        },
    ),
    "vp9": ("a.webm", "b.webm", {"codec": "libvpx-vp9", "look": Look(options={"g": "25", "cpu-used": "8"})}),
    "prores": (
        "a.mov",
        "b.mov",
        {"codec": "prores_ks", "pix_fmt": "yuv422p10le", "look": Look(options={"profile": "lt"})},
    ),
}
MIDDLE = [(40, 44)]


@pytest.mark.parametrize("case", CASES)
def test_only_the_group_that_is_touched_is_rendered(case, media, clip, packets, tmp_path):
    name, target_name, options = CASES[case]
    source, target = clip(name, **{"seconds": 3, **options}), tmp_path / target_name

    plan, result = smart(media, source, target, MIDDLE)

    assert [span.copied for span in plan.spans] == [True, False, True]
    rendered = plan.spans[1]
    assert rendered.first <= 40 < 44 <= rendered.last <= 50
    assert plan.reason is result.reason is None
    assert (result.copied_spans, result.rendered_spans, result.joints) == (2, 1, 2)
    assert (result.copied_frames, result.rendered_frames) == (plan.frames - rendered.frames, rendered.frames)
    assert result.frames == plan.frames
    require_seamless(media, source, target, plan, MIDDLE)
    before, after = media.probe(source), media.probe(target)
    assert after.audio == before.audio
    assert packets(target)["audio"] == packets(source)["audio"]
    assert after.duration_s == pytest.approx(before.duration_s, abs=0.025)
    facts = {"width", "height", "pixel_format", "rotation", "sample_aspect", "interlaced", "frame_rate", "codec"}
    facts |= {"color_primaries", "color_transfer", "color_space", "color_range"}
    assert {key: getattr(after.video[0], key) for key in facts} == {key: getattr(before.video[0], key) for key in facts}


@pytest.mark.parametrize(
    ("case", "tag"), [("mp4", "avc1"), ("mov", "avc1"), ("hevc mp4", "hvc1"), ("hevc mkv to mp4", "hvc1")]
)
def test_the_header_has_all_parameter_sets_and_the_packets_none(case, tag, media, clip, tmp_path):
    from vtid.media.smart import headers, nal

    name, target_name, options = CASES[case]
    target = tmp_path / target_name
    smart(media, clip(name, **{"seconds": 3, **options}), target, MIDDLE)
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        codec, header = stream.codec_context.name, bytes(stream.codec_context.extradata)
        sets = headers.parameter_sets(codec, header)
        assert stream.codec_tag == tag
        assert len(sets) == len(set(sets)) == (4 if codec == "h264" else 6)
        units = [unit for packet in container.demux(stream) if packet.size for unit in nal.split(bytes(packet), 4)]
        assert not [unit for unit in units if nal.is_set(codec, unit)]


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
@pytest.mark.parametrize("delay", [0, 1, 2])
def test_rendered_pictures_wait_no_longer_than_copied_ones(encoder, delay, media, clip, tmp_path):
    order = ["bframes=0", "bframes=3:b-adapt=0:b-pyramid=0", "bframes=4:b-adapt=0:b-pyramid=1"][delay]
    if encoder == "libx264":
        order = order.replace("pyramid=0", "pyramid=none").replace("pyramid=1", "pyramid=normal")
    name = "x264-params" if encoder == "libx264" else "x265-params"
    options = {name: f"keyint=25:scenecut=0:{order}" + ":open-gop=0:log-level=error" * (encoder == "libx265")}
    source, target = clip(seconds=3, codec=encoder, look=Look(options=options)), tmp_path / "b.mp4"
    plan, _ = smart(media, source, target, [(30, 75)])
    require_seamless(media, source, target, plan, [(30, 75)])
    for path in (source, target):
        with av.open(str(path)) as container:
            order = [packet.pts for packet in container.demux(video=0) if packet.size]
        assert max(at - sorted(order).index(pts) for at, pts in enumerate(order)) == delay


def test_hdr_metadata_is_in_rendered_frames_too(media, clip, tmp_path):
    name, target_name, options = CASES["hevc 10 bit HDR"]
    target = tmp_path / target_name
    plan, _ = smart(media, clip(name, **{"seconds": 3, **options}), target, MIDDLE)
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
    kinds = {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"}
    first, rendered = (
        {d.type.name: bytes(d) for d in frames[at].side_data if d.type.name in kinds} for at in (0, plan.spans[1].first)
    )
    assert len(first) == 2
    assert rendered == first
    assert plan.pts[0] == 0


@pytest.mark.parametrize(
    ("touched", "spans"),
    [
        ([], [(0, 75, "copied")]),
        ([(0, 3)], [(0, 25, "rendered"), (25, 75, "copied")]),
        ([(72, 75)], [(0, 71, "copied"), (71, 75, "rendered")]),
        ([(0, 75)], [(0, 75, "rendered")]),
        ([(0, 1), (26, 27), (74, 75)], [(0, 50, "rendered"), (50, 71, "copied"), (71, 75, "rendered")]),
        ([(10, 12), (60, 61)], [(0, 9, "copied"), (9, 25, "rendered"), (25, 59, "copied"), (59, 75, "rendered")]),
    ],
)
def test_wherever_the_edit_is(touched, spans, media, clip, tmp_path):
    source, target = (
        clip(
            seconds=3, look=Look(options={"g": "25", "bf": "3", "x264-params": "b-adapt=0:b-pyramid=none:scenecut=0"})
        ),
        tmp_path / "b.mp4",
    )
    plan, result = smart(media, source, target, touched)
    assert kinds(plan) == spans
    assert result.joints == len(spans) - 1
    require_seamless(media, source, target, plan, touched)


def test_a_result_may_be_the_next_ones_source(media, clip, tmp_path):
    for name, options in (("h264", {"look": Look(options=X264)}), ("hevc", HEVC)):
        source, once, twice = (
            clip(f"{name}.mp4", seconds=3, **options),
            tmp_path / f"{name}-1.mp4",
            tmp_path / f"{name}-2.mp4",
        )
        smart(media, source, once, MIDDLE)
        plan, _ = smart(media, once, twice, [(60, 63)])
        assert plan.spans[0].copied
        assert plan.spans[0].last > 50
        require_seamless(media, once, twice, plan, [*MIDDLE, (60, 63)])


@pytest.mark.parametrize(
    "options",
    [
        {"look": Look(options={"g": "25", "x264-params": "open-gop=1:scenecut=0"})},
        {"codec": "libx265", "look": Look(options={"x265-params": "log-level=error:keyint=25:open-gop=1:scenecut=0"})},
    ],
    ids=["h264", "hevc"],
)
def test_nothing_is_copied_behind_a_joint_that_leans_on_what_was_before(options, media, clip, tmp_path):
    source, target = clip(seconds=4, **options), tmp_path / "b.mp4"
    plan, _ = smart(media, source, target, MIDDLE)
    assert [span.copied for span in plan.spans] == [True, False]
    assert plan.spans[1].last == 100
    require_seamless(media, source, target, plan, MIDDLE)


def test_a_window_behind_an_open_group_holds_the_sources_pictures(media, clip, tmp_path):
    """The leading frames of an open group refer to the group before; decoding begins early enough."""
    source = clip(seconds=4, look=Look(options={"g": "25", "x264-params": "open-gop=1:scenecut=0"}))
    plan = media.plan(source, tmp_path / "b.mp4", [(0, 100)], splits=range(100), least_frames=10)
    truth = [frame.luma().copy() for frame in media.frames(source)]
    assert len(plan.spans) == 10
    seen = []

    def edit(frames):
        for frame in frames:
            assert np.array_equal(frame.luma(), truth[frame.index])
            seen.append(frame.index)
            yield frame

    render_all(media, source, plan, tmp_path, edit)
    assert seen == list(range(100))


def test_edits_see_what_lies_around_their_span_under_true_numbers(media, clip, tmp_path):
    source = clip(seconds=3, look=Look(options=X264, vfr=True))
    truth = [(f.index, f.pts, f.time_s, f.luma().copy()) for f in media.frames(source)]
    plan = media.plan(source, tmp_path / "b.mp4", MIDDLE, least_frames=2)
    span = plan.spans[1]
    seen = []

    def edit(frames):
        for frame in frames:
            seen.append((frame.index, frame.pts, frame.time_s, frame.luma().copy()))
            if span.first <= frame.index < span.last:
                yield frame

    part = media.render(source, plan, 1, tmp_path / "1.part", edit, before=9, after=1000)
    assert part.frames == span.frames
    for found, wanted in zip(seen, truth[span.first - 9 :], strict=True):
        assert found[:3] == wanted[:3]
        assert np.array_equal(found[3], wanted[3])
    assert list(plan.pts) == [pts for _, pts, _, _ in truth]


@pytest.mark.slow
def test_spans_may_be_rendered_in_other_processes_and_any_order(media, clip, tmp_path):
    source, one, two = clip(seconds=4, look=Look(options=X264)), tmp_path / "one.mp4", tmp_path / "two.mp4"
    plan = media.plan(source, one, [(0, 100)], splits=[30, 55, 80], least_frames=5)
    assert kinds(plan) == [(0, 30, "rendered"), (30, 55, "rendered"), (55, 80, "rendered"), (80, 100, "rendered")]
    media.join(source, one, plan, render_all(media, source, plan, tmp_path, iter))
    numbers = list(plan.rendered)
    random.Random(1).shuffle(numbers)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(media.render, source, plan, n, tmp_path / f"far{n}", iter) for n in numbers]
        media.join(source, two, plan, [job.result() for job in jobs])
    assert one.read_bytes() == two.read_bytes()


def test_one_frame_is_a_film(media, clip, tmp_path):
    source = clip(seconds=0.04, audio=False)
    for touched, spans in (([], [(0, 1, "copied")]), ([(0, 1)], [(0, 1, "rendered")])):
        target = tmp_path / f"b{len(touched)}.mp4"
        plan, result = smart(media, source, target, touched, least_frames=1)
        assert kinds(plan) == spans
        assert result.frames == 1
        require_seamless(media, source, target, plan, touched)


def test_all_that_goes_beside_the_picture_stays(media, clip, packets, enrich, tmp_path):
    plain, source, target = (
        clip("plain.mp4", seconds=3, look=Look(options=X264, audio_tracks=2)),
        tmp_path / "rich.mkv",
        tmp_path / "b.mkv",
    )
    enrich(plain, source)

    _, result = smart(media, source, target, MIDDLE)

    assert (result.copied_streams, result.dropped) == (4, ())
    assert media.probe(target).other == media.probe(source).other
    assert packets(target)["subtitle"] == packets(source)["subtitle"]
    assert packets(target)["audio"] == packets(source)["audio"]
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert after.chapters() == before.chapters()
        assert len(after.chapters()) == 2
        assert after.metadata["title"] == "A walk"
        assert [s.metadata.get("language") for s in after.streams] == [
            s.metadata.get("language") for s in before.streams
        ]
        assert [s.disposition for s in after.streams] == [s.disposition for s in before.streams]
    dropped = smart(media, source, tmp_path / "b.mp4", MIDDLE)[1].dropped
    assert len(dropped) == 2
    assert "mp4 cannot hold it" in dropped[0]


def test_sound_lies_beside_the_picture_in_the_file(media, clip, tmp_path):
    target = tmp_path / "b.mp4"
    smart(media, clip(seconds=4, look=Look(options=X264)), target, MIDDLE)
    ahead = 0.0
    with av.open(str(target)) as container:
        seen = {"video": 0.0, "audio": 0.0}
        for packet in container.demux():
            if packet.dts is not None and packet.pos is not None:
                seen[packet.stream.type] = float(packet.dts * packet.time_base)
                ahead = max(ahead, abs(seen["video"] - seen["audio"]))
    assert ahead < 1.0


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
