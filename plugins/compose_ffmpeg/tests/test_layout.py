"""From documents to timelines, without a file: which clip is seen from which frame to which, and every complaint."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from vtid import presets
from vtid.domain.step import check_params
from vtid.media.containers import output_format
from vtid.media.encoders import composing_plan
from vtid.plugins import spec_of
from vtid.sdk import AudioStream, Footage, InvalidInput, MediaInfo, Plain, Still, VideoStream, Writing
from vtid_compose_ffmpeg import Compose
from vtid_compose_ffmpeg.document import TRANSITIONS, Composition, TransitionType
from vtid_compose_ffmpeg.given import Given
from vtid_compose_ffmpeg.layout import Laid, lay_out
from vtid_compose_ffmpeg.making import CODECS


def film(seconds: float, *, audio: bool = True, rate: str = "25/1", size: tuple[int, int] = (1920, 1080)) -> MediaInfo:
    picture = VideoStream(0, "h264", *size, "yuv420p", 8, "1/90000", frame_rate=rate)
    sound = (AudioStream(1, "aac", 48000, 2),) if audio else ()
    return MediaInfo("mp4", 1, seconds, video=(picture,), audio=sound)


PRESETS = presets.load()
SOUND = MediaInfo("mp3", 1, 60.0, audio=(AudioStream(0, "mp3", 44100, 2),))
IMAGE = MediaInfo("png", 1, 0.0, video=(VideoStream(0, "png", 800, 600, "rgb24", 8, "1/25"),))

FILES = {
    f"asset:{name}": Given(Path(name), name, info)
    for name, info in {
        "a": film(10),
        "b": film(5),
        "long": film(12.4),
        "mute": film(5, audio=False),
        "ntsc": film(10, rate="30000/1001", size=(720, 480)),
        "song": SOUND,
        "logo": IMAGE,
        "font": None,
        "nothing": MediaInfo("wav", 1, 0.0, audio=(AudioStream(0, "pcm_s16le", 48000, 2),)),
    }.items()
} | {"asset:cut": Given(Path("cut"), "cut.mp4", None, "the index (moov) is missing")}

A, B = {"video_url": "asset:a"}, {"video_url": "asset:b"}
RED = {"color": "#FF0000", "duration": 2}


def laid(*clips: dict[str, Any], **more: Any) -> Laid:
    more["output"] = {"fps": 25, **more.get("output", {})}
    return lay_out(msgspec.convert({"clips": list(clips), **more}, Composition), FILES, PRESETS)


def spans(found: Laid) -> list[tuple[int, int]]:
    return [(clip.first, clip.last) for clip in found.main]


def test_clips_follow_one_another() -> None:
    found = laid(A, {**B, "trim_start": 1, "trim_end": 3.5}, RED)
    assert spans(found) == [(0, 250), (250, 313), (313, 363)]
    assert found.frames == 363
    assert found.main[1].picture == Footage(Path("b"), Fraction(1))
    assert found.main[2].picture == Plain((255, 0, 0))


def test_the_simple_form_places_clips_on_the_timeline() -> None:
    found = laid({**A, "start_time": 0, "end_time": 4}, {**B, "start_time": 6, "end_time": 8, "trim_start": 2})
    assert spans(found) == [(0, 100), (150, 200)]
    assert found.main[1].picture == Footage(Path("b"), Fraction(2))


def test_a_transition_makes_both_clips_seen_and_heard() -> None:
    found = laid(A, {**B, "transition": {"type": "wipe-left", "duration": 0.8}})
    assert spans(found) == [(0, 250), (230, 355)]
    assert found.main[1].entry is not None
    assert (found.main[1].entry.kind, found.main[1].entry.frames) == ("wipeleft", 20)
    assert found.mix is not None
    out, into = found.mix.sounds
    assert out.fade_out == into.fade_in == 38400
    assert (into.at, into.samples) == (230 * 1920, 125 * 1920)


def test_a_transition_is_no_longer_than_half_of_the_shorter_clip() -> None:
    found = laid(
        {**A, "duration": 1}, {**B, "duration": 4, "transition": {"duration": 3}}, {**B, "transition": {"duration": 2}}
    )
    assert found.main[1].entry is not None
    assert found.main[1].entry.frames == 12
    assert found.warnings == ("clips[1].transition.duration: is cut to 0.48 s, half of the shorter clip",)
    assert spans(found) == [(0, 25), (13, 113), (63, 188)]


def test_neighbouring_transitions_never_overlap() -> None:
    into = {"duration": 9}
    found = laid(
        RED, {**RED, "transition": into}, {**RED, "transition": into}, {**RED, "duration": 0.04, "transition": into}
    )
    for before, clip, after in zip(found.main, found.main[1:], found.main[2:], strict=False):
        taken = (clip.entry.frames if clip.entry else 0) + (after.entry.frames if after.entry else 0)
        assert taken <= clip.frames
        assert clip.first == before.last - (clip.entry.frames if clip.entry else 0)


def test_frames_do_not_drift_over_thousands_of_clips() -> None:
    found = laid(*[{**A, "duration": 0.1} for _ in range(500)], output={"fps": 29.97})
    assert found.frames == round(50 * 30000 / 1001)
    assert all(a.last == b.first for a, b in zip(found.main, found.main[1:], strict=False))


def test_speed_makes_shorter_and_longer() -> None:
    found = laid({**A, "speed": 2}, {**B, "speed": 0.25, "trim_end": 1})
    assert spans(found) == [(0, 125), (125, 225)]
    assert found.mix is not None
    assert [sound.speed for sound in found.mix.sounds] == [2, Fraction(1, 4)]


def test_higher_tracks_lie_above_and_end_with_the_film() -> None:
    found = laid(A, {"image_url": "asset:logo", "track": 2}, {**A, "track": 1, "start_time": 8})
    assert [(clip.first, clip.last) for clip in found.above] == [(200, 250), (0, 250)]
    assert isinstance(found.above[1].picture, Still)
    assert found.warnings == ("clips[2]: is cut where track 0 ends",)


def test_sizes_and_rates_may_be_those_of_the_source() -> None:
    found = laid({"video_url": "asset:ntsc"}, output={"resolution": "source", "fps": "source"})
    assert (found.canvas.width, found.canvas.height, found.canvas.rate) == (720, 480, Fraction(30000, 1001))
    assert laid(A, output={"resolution": {"width": 300, "height": 500}}).canvas.height == 500


LOGO: dict[str, Any] = {"image_url": "asset:logo", "duration": "auto"}
BLUE: dict[str, Any] = {"color": "#0000FF", "duration": "auto"}
FADE: dict[str, Any] = {"transition": {"duration": 1}}


@pytest.mark.parametrize(
    ("clips", "audio", "wanted"),
    [
        ([LOGO], {"music_url": "asset:song"}, [(0, 1500)]),
        ([LOGO], {"music_url": "asset:song", "music_start": 50}, [(0, 250)]),
        ([LOGO, BLUE, LOGO], {"music_url": "asset:song"}, [(0, 500), (500, 1000), (1000, 1500)]),
        ([LOGO, RED, BLUE], {"voiceover_url": "asset:b"}, [(0, 38), (38, 88), (88, 125)]),
        ([RED, BLUE], {"voiceover_url": "asset:b", "music_url": "asset:song"}, [(0, 50), (50, 125)]),
        ([BLUE], {"voiceover_url": "asset:b", "voiceover_start": 2}, [(0, 175)]),
        ([BLUE], {"tracks": [{"url": "asset:song", "trim_start": 3, "trim_end": 7, "start_time": 1}]}, [(0, 125)]),
        ([LOGO, LOGO | FADE], {"voiceover_url": "asset:b"}, [(0, 75), (50, 125)]),
        ([BLUE, RED | {"start_time": 7}], {}, [(0, 175), (175, 225)]),
        (
            [BLUE, LOGO, RED | {"start_time": 8}, BLUE],
            {"voiceover_url": "asset:long"},
            [(0, 100), (100, 200), (200, 250), (250, 310)],
        ),
        ([A | {"duration": "auto", "trim_start": 4}], {"voiceover_url": "asset:b"}, [(0, 150)]),
    ],
)
def test_what_is_auto_takes_the_time_that_there_is(clips: list[Any], audio: dict[str, Any], wanted: Any) -> None:
    found = laid(*clips, audio=audio)
    assert [(first, last) for first, last in spans(found)] == wanted
    assert found.frames == wanted[-1][1]


def test_sound_alone_is_heard_over_its_background() -> None:
    found = laid({"video_url": "asset:song", "end_time": 3, "background": "#0000FF"})
    assert found.main[0].picture == Plain((0, 0, 255))
    assert found.mix is not None
    assert found.mix.sounds[0].samples == 3 * 48000


def test_who_is_heard_and_who_is_not() -> None:
    audio = {
        "music_url": "asset:song",
        "voiceover_url": "asset:song",
        "voiceover_start": 2,
        "original_audio_volume": 0.7,
    }
    found = laid(
        {**A, "volume": 0.5}, {**B, "mute": True}, {"video_url": "asset:mute"}, audio=audio | {"normalize": True}
    )
    assert found.mix is not None
    original, music, voice = found.mix.sounds
    assert (original.bus, original.gain) == ("original", pytest.approx(0.35))
    assert (music.bus, music.gain, music.loop, music.samples) == ("music", 0.5, True, 20 * 48000)
    assert (voice.bus, voice.gain, voice.at, voice.samples) == ("voice", 1.0, 96000, 18 * 48000)
    assert found.mix.loudness == -14
    assert laid({**A, "mute": True}).mix is None


def test_giving_way_to_no_voice_is_said() -> None:
    audio = {"music_url": "asset:song", "duck": 12}
    found = laid(A, audio=audio)
    assert found.warnings == ("audio.duck: no sound gives way: there is no voiceover_url, and no track is a voice",)
    assert laid(A, audio=audio | {"tracks": [{"url": "asset:song", "voice": True}]}).warnings == ()


WRONG: list[tuple[list[dict[str, Any]], dict[str, Any], str]] = [
    ([A, B, {"video_url": "asset:long", "end_time": 30}], {}, "clips[2].end_time: past the end of the source (12.4 s)"),
    ([{**A, "trim_start": 10}], {}, "clips[0].trim_start: past the end of the source (10 s)"),
    ([{**A, "trim_end": 11}], {}, "clips[0].trim_end: past the end of the source (10 s)"),
    ([{**A, "trim_start": 3, "trim_end": 2}], {}, "clips[0].trim_end: is not after trim_start (3 s)"),
    ([{**A, "trim_end": 4, "duration": 3}], {}, "clips[0].duration: is 3 s, and trim_end makes it 4 s; leave one out"),
    ([{**A, "start_time": 2, "end_time": 2}], {}, "clips[0].end_time: is not after the beginning (2 s)"),
    ([{**A, "end_time": 2, "duration": 2}], {}, "clips[0].duration: give this or end_time"),
    ([A, {**B, "start_time": 5}], {}, "clips[1].start_time: overlaps clips[0], which ends at 10 s"),
    ([{}], {}, "clips[0]: names nothing to be seen; give one of video_url, image_url, color"),
    ([{**A, "color": "#000000"}], {}, "clips[0]: has video_url and color; give one of video_url, image_url, color"),
    ([{"video_url": "asset:x"}], {}, 'clips[0].video_url: there is no file "asset:x"'),
    ([{"video_url": "asset:songs"}], {}, 'there is no file "asset:songs"; did you mean "asset:song"?'),
    ([{"video_url": "asset:font"}], {}, "clips[0].video_url: font is no media file"),
    ([{"video_url": "asset:cut"}], {}, "clips[0].video_url: cut.mp4 is no media file: the index (moov) is missing"),
    ([A], {"audio": {"music_url": "asset:cut"}}, "audio.music_url: cut.mp4 is no media file: the index"),
    ([{"video_url": "asset:nothing"}], {}, "clips[0].video_url: holds nothing: it lasts 0 s"),
    ([A], {"audio": {"music_url": "asset:nothing"}}, "audio.music_url: holds nothing: it lasts 0 s"),
    ([{**A, "duration": 1e-9}], {}, "clips[0].duration: is too short"),
    ([A], {"output": {"bitrate": "999999999M"}}, "output.bitrate: must be at least 1k and at most 1000M"),
    ([A], {"output": {"bitrate": "0k"}}, "output.bitrate: must be at least 1k and at most 1000M"),
    ([A], {"output": {"format": "webm", "codec": "h264"}}, "output.codec: webm holds no h264; use vp9 or av1"),
    ([{"video_url": "asset:logo"}], {}, "clips[0].video_url: is a still picture; call it image_url"),
    ([{"image_url": "asset:a", "duration": 1}], {}, "clips[0].image_url: is no still picture; call it video_url"),
    ([{"color": "#000000"}], {}, "clips[0].duration: say how long it is seen"),
    ([BLUE], {}, "clips[0].duration: is auto, and there is no sound that says when the film ends"),
    (
        [A, BLUE],
        {"audio": {"voiceover_url": "asset:b"}},
        "clips[1].duration: is auto, and the clips beside it leave it no time until 5 s",
    ),
    (
        [BLUE, {**A, "end_time": 9}],
        {"audio": {"music_url": "asset:song"}},
        "clips[1].end_time: give its duration or start_time",
    ),
    ([{**BLUE, "end_time": 2}], {}, "clips[0].duration: give this or end_time"),
    ([{**RED, "speed": 2}], {}, "clips[0].speed: is for videos only, and this is a colour"),
    ([{**A, "zoom": 2}], {}, "clips[0].zoom: is for images only"),
    ([{**A, "crop": {"x": 0.6, "y": 0, "width": 0.5, "height": 1}}], {}, "clips[0].crop: reaches past the picture"),
    ([{**A, "transition": {}}], {}, "clips[0].transition: there is no clip before it"),
    ([A, {**B, "transition": {}, "start_time": 10}], {}, "clips[1].start_time: leave it out"),
    ([A, {**RED, "track": 1}, {**RED, "track": 1, "transition": {}}], {}, "clips[2].transition: only clips of track 0"),
    ([{**A, "track": 1}], {}, "clips: none is on track 0"),
    ([RED], {"output": {"fps": "source"}}, "output.fps: the first clip of track 0 has no frame rate"),
    ([RED], {"output": {"resolution": "source"}}, "output.resolution: the first clip of track 0 has no picture"),
    ([A], {"audio": {"music_url": "asset:mute"}}, "audio.music_url: mute has no sound"),
    (
        [A],
        {"audio": {"music_url": "asset:song", "music_start": 61}},
        "audio.music_start: past the end of the source (60 s)",
    ),
    (
        [A],
        {"audio": {"voiceover_url": "asset:song", "voiceover_start": 10}},
        "audio.voiceover_start: past the end of the film",
    ),
    (
        [A],
        {"audio": {"tracks": [{"url": "asset:song", "trim_end": 70}]}},
        "audio.tracks[0].trim_end: past the end of the source",
    ),
    (
        [A],
        {"audio": {"tracks": [{"url": "asset:song", "trim_end": 7, "loop": True}]}},
        "audio.tracks[0].trim_end: leave it out",
    ),
]


@pytest.mark.parametrize(("clips", "more", "words"), WRONG)
def test_every_complaint_names_its_place(clips: list[dict[str, Any]], more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        laid(*clips, **more)
    assert words in "\n".join(map(str, caught.value.problems))


@pytest.mark.parametrize("ending", sorted(CODECS))
def test_what_a_format_holds_is_what_is_written_into_it(ending: str) -> None:
    def taken(codec: str) -> bool:
        try:
            return bool(composing_plan(laid(A).canvas, output_format(Path(f"x.{ending}")), Writing(codec=codec)))
        except InvalidInput:
            return False

    assert {codec for codec in ("h264", "hevc", "av1", "vp9") if taken(codec)} == set(CODECS[ending])


def test_the_last_frame_is_there_until_it_is_over() -> None:
    assert laid(RED, output={"format": "png", "time": 1.999}).part == (49, 50)
    assert laid(RED, output={"range": {"start_time": 1.999}}).part == (49, 50)
    with pytest.raises(InvalidInput, match="past the end"):
        laid(RED, output={"format": "png", "time": 2})


def test_all_complaints_come_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        laid({**A, "trim_start": 20}, {"color": "#000000"}, {}, audio={"music_url": "asset:logo"})
    places = [problem.field for problem in caught.value.problems]
    assert sorted(places) == ["audio.music_url", "clips[0].trim_start", "clips[1].duration", "clips[2]"]


def test_the_form_of_a_document_is_complained_of_at_once_and_by_place() -> None:
    clips = [
        {"video_url": "asset:a", "sped": 2, "speed": 9},
        5,
        {"fit": "covr", "crop": {"x": "b", "y": 0, "width": 0}},
    ]
    output = {"resolution": "700p", "fps": 500, "bitrate": "fast"}
    problems = check_params(spec_of(Compose, "compose_ffmpeg"), {"clips": clips, "output": output}, place="")
    found = {problem.field: problem.message for problem in problems}
    assert list(found) == [
        "clips[0].sped", "clips[0].speed", "clips[1]", "clips[2].fit", "clips[2].crop.x", "clips[2].crop.width",
        "clips[2].crop.height", "output.resolution", "output.fps", "output.bitrate",
    ]  # fmt: skip
    assert 'did you mean "speed"?' in found["clips[0].sped"]
    assert "contain" in found["clips[2].fit"]
    assert "1080p" in found["output.resolution"]


def test_the_contracts_simple_form_is_a_document() -> None:
    document = msgspec.convert(
        {
            "title": "…",
            "clips": [{"video_url": "asset:a", "start_time": 0, "end_time": 10}],
            "audio": {"music_url": "asset:song", "music_volume": 0.3, "original_audio_volume": 0.7},
            "overlays": [
                {
                    "text": "Welcome!",
                    "position": "center",
                    "start_time": 0,
                    "end_time": 3,
                    "font_size": 48,
                    "font_color": "#FFFFFF",
                }
            ],
            "output": {"format": "mp4", "quality": "medium", "resolution": "1080p"},
        },
        Composition,
    )
    found = lay_out(document, FILES, PRESETS)
    assert (found.canvas.width, found.canvas.height, found.canvas.rate, found.frames) == (1920, 1080, 30, 300)


def test_there_is_a_schema_and_every_transition_is_in_it() -> None:
    schema = msgspec.json.schema(Composition)
    assert "TransitionInto" in schema["$defs"]
    assert set(TransitionType.__args__) == set(TRANSITIONS)


def test_a_quality_is_a_preset(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('lines = 100\naudio_kbps = 64\n[h264]\ncrf = 33\npreset = "slow"\n')
    own = presets.load([tmp_path])
    found = lay_out(document(quality="own"), FILES, own)
    assert (found.canvas.width, found.canvas.height) == (178, 100)
    writing = found.writing
    assert (writing.codec, writing.crf, writing.preset, writing.audio_bit_rate) == ("h264", 33, "slow", 64_000)
    assert lay_out(document(codec="av1"), FILES, own).writing.preset == "8"
    assert lay_out(document(quality="own", format="m4a"), FILES, own).writing.audio_bit_rate == 64_000
    for output, words in (
        ({"quality": "onw"}, 'output.quality: there is no preset "onw"; did you mean "own"?'),
        ({"quality": "own", "codec": "vp9"}, f"says nothing of vp9, only of h264; add [vp9] to {tmp_path}/own.toml"),
    ):
        with pytest.raises(InvalidInput) as caught:
            lay_out(document(**output), FILES, own)
        assert words in str(caught.value.problems[0])


def document(**output: Any) -> Composition:
    return msgspec.convert({"clips": [A], "output": output}, Composition)
