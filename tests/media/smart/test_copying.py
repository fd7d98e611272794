"""Smart render on real files: what is copied, what is rendered, and that nobody can see where they meet."""

from __future__ import annotations

import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.media.smart.films import HDR, HEVC, MIDDLE, X264, X265, kinds, render_all, require_seamless, smart
from vtid.media.synth import Look

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
