"""Timelines of other programs as documents, and documents as timelines; nothing is lost without a word."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from vtid.domain.composition import Placed
from vtid.errors import InvalidInput, Unavailable
from vtid.otio import export_to, import_from

otio = pytest.importorskip("opentimelineio", reason="needs the extra vtid[otio]")
schema, RationalTime, TimeRange = otio.schema, otio.opentime.RationalTime, otio.opentime.TimeRange
HOUR = 3600 * 25
"""Frames at which cameras begin to count."""


def span(first: float, frames: float, rate: float = 25) -> Any:
    return TimeRange(RationalTime(first, rate), RationalTime(frames, rate))


def clip(name: str, first: float, frames: float, *, start: float = 0, length: float = 500, **more: Any) -> Any:
    reference = schema.ExternalReference(f"file:///media/{name}", span(start, length))
    return schema.Clip(name, reference, span(first, frames), **more)


def gap(frames: int) -> Any:
    return schema.Gap(source_range=span(0, frames))


def read(tmp_path: Path, *tracks: Any, **more: Any) -> Any:
    timeline = schema.Timeline("Cut", **more)
    timeline.tracks.extend(tracks)
    path = tmp_path / "cut.otio"
    path.write_text(timeline.to_json_string())
    return import_from(path)


def video(*items: Any, **more: Any) -> Any:
    return schema.Track("V", items, kind="Video", **more)


def audio(*items: Any) -> Any:
    return schema.Track("A", items, kind="Audio")


def test_clips_gaps_and_timecodes(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        video(
            clip("a%20b.mov", HOUR + 50, 100, start=HOUR),
            gap(25),
            clip("c.mov", 10, 50, effects=[schema.LinearTimeWarp(time_scalar=2)]),
        ),
        video(gap(50), clip("logo.png", 0, 75)),
    )
    assert found.document == {
        "title": "Cut",
        "clips": [
            {"video_url": "/media/a b.mov", "trim_start": 2.0, "duration": 4.0, "start_time": 0.0},
            {"video_url": "/media/c.mov", "trim_start": 0.4, "speed": 2.0, "duration": 2.0, "start_time": 5.0},
            {"image_url": "/media/logo.png", "duration": 3.0, "track": 1, "start_time": 2.0},
        ],
        "output": {"resolution": "source", "fps": 25.0},
    }
    assert found.unmapped == [
        "tracks: there are no audio tracks; clips keep their own sound",
        "output: OpenTimelineIO says nothing of size, quality and format; change what stands there",
    ]


def test_a_dissolve_shows_both_clips_and_the_cut_stays_where_it_was(tmp_path: Path) -> None:
    dissolve = schema.Transition("", "SMPTE_Dissolve", RationalTime(10, 25), RationalTime(15, 25))
    wipe = schema.Transition("", "Custom_Transition", RationalTime(5, 25), RationalTime(5, 25))
    found = read(tmp_path, video(clip("a.mov", 0, 100), dissolve, clip("b.mov", 50, 100), wipe, clip("c.mov", 25, 50)))
    assert found.document["clips"] == [
        {"video_url": "/media/a.mov", "duration": 4.6, "start_time": 0.0},
        {
            "video_url": "/media/b.mov",
            "trim_start": 1.6,
            "duration": 4.6,
            "transition": {"type": "crossfade", "duration": 1.0},
        },
        {
            "video_url": "/media/c.mov",
            "trim_start": 0.8,
            "duration": 2.2,
            "transition": {"type": "crossfade", "duration": 0.4},
        },
    ]
    assert 'tracks[0][4]: the transition "Custom_Transition" becomes a crossfade' in found.unmapped


def test_a_dissolve_is_as_long_as_the_files_around_it_last(tmp_path: Path) -> None:
    def dissolve() -> Any:
        return schema.Transition("", "SMPTE_Dissolve", RationalTime(10, 25), RationalTime(15, 25))

    short = clip("a.mov", 10, 100, start=10, length=105)
    whole = clip("b.mov", 0, 50, length=50)
    found = read(tmp_path, video(short, dissolve(), whole, dissolve(), clip("c.mov", 0, 50)))
    assert found.document["clips"] == [
        {"video_url": "/media/a.mov", "duration": 4.2, "start_time": 0.0},
        {"video_url": "/media/b.mov", "duration": 2.0, "transition": {"type": "crossfade", "duration": 0.2}},
        {"video_url": "/media/c.mov", "duration": 2.0, "start_time": 6.0},
    ]
    assert [words for words in found.unmapped if "too little" in words] == [
        "tracks[0][0]: has 0.4 s too little behind it for its transition",
        "tracks[0][2]: has 0.6 s too little behind it for its transition",
        "tracks[0][2]: has 0.4 s too little before it for its transition",
        "tracks[0][4]: has 0.4 s too little before it for its transition",
    ]


def test_whose_sound_lies_under_its_picture_is_heard_and_others_are_not(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        video(clip("a.mov", 0, 100), clip("b.mov", 0, 100)),
        audio(clip("a.mov", 0, 100), clip("voice.wav", 5, 50)),
        audio(gap(150), clip("song.mp3", 0, 50, start=0)),
    )
    assert [one.get("mute", False) for one in found.document["clips"]] == [False, True]
    assert found.document["audio"] == {
        "tracks": [
            {"url": "/media/voice.wav", "start_time": 4.0, "trim_start": 0.2, "trim_end": 2.2},
            {"url": "/media/song.mp3", "start_time": 6.0, "trim_end": 2.0},
        ]
    }


def test_higher_tracks_may_last_longer_and_what_is_no_media_is_black(tmp_path: Path) -> None:
    lost = schema.Clip("lost", schema.MissingReference(), span(0, 25))
    found = read(tmp_path, video(lost, clip("a.mov", 0, 25)), video(gap(25), clip("b.mov", 0, 100)))
    black = {"color": "#000000"}
    assert found.document["clips"][0] == black | {"start_time": 0.0, "duration": 1.0}
    assert found.document["clips"][-1] == black | {"start_time": 2.0, "duration": 3.0}
    assert 'tracks[0][0]: "lost" names no file that can be read (MissingReference); it is left black' in found.unmapped
    assert found.document["output"]["resolution"] == "1080p"


def test_the_rates_of_ntsc_are_meant_exactly(tmp_path: Path) -> None:
    rate = 23.976023976023978
    reference = schema.ExternalReference("https://example.org/a.mov", span(0, 5000, rate))
    found = read(tmp_path, video(schema.Clip("a", reference, span(2400, 2400, rate))))
    [one] = found.document["clips"]
    assert (one["video_url"], one["trim_start"], one["duration"]) == ("https://example.org/a.mov", 100.1, 100.1)
    assert found.document["output"]["fps"] == 23.976


def test_all_that_goes_nowhere_is_listed(tmp_path: Path) -> None:
    stack = schema.Stack("nested", [video(clip("x.mov", 0, 50))], source_range=span(0, 50))
    fade_out = schema.Transition("", "SMPTE_Dissolve", RationalTime(5, 25), RationalTime(5, 25))
    fade_in = schema.Transition("", "SMPTE_Dissolve", RationalTime(5, 25), RationalTime(5, 25))
    marked = clip("a.mov", 0, 50, metadata={"cmx_3600": {"reel": "ZZ100"}}, effects=[schema.Effect(effect_name="Blur")])
    marked.markers.append(schema.Marker("here", span(10, 1)))
    hidden = clip("h.mov", 0, 25)
    hidden.enabled = False
    slow = clip("s.mov", 0, 50, effects=[schema.LinearTimeWarp(time_scalar=-1), schema.FreezeFrame()])
    frames = schema.Clip("seq", schema.ImageSequenceReference("file:///media/", "f", ".exr"), span(0, 25))
    other = video(clip("z.mov", 0, 25))
    other.enabled = False
    found = read(
        tmp_path,
        video(fade_in, marked, fade_out, gap(5), stack, hidden, slow, frames),
        other,
        video(clip("u.mov", 0, 25), schema.Transition("", "SMPTE_Dissolve", RationalTime(2, 25), RationalTime(2, 25)), clip("v.mov", 5, 25)),
        global_start_time=RationalTime(HOUR, 25),
        metadata={"premiere": {"x": 1}},
    )  # fmt: skip
    assert found.unmapped[0] == "tracks[0][0]: leads out of nothing, and is left out"
    assert set(found.unmapped[1:]) == {
        "tracks[0][3]: the transition before it leads into nothing, and is left out",
        "tracks[0][4]: is a Stack, and only clips are read; it leaves a gap",
        "tracks[0][5]: is disabled, and left out",
        "tracks[1]: is disabled, and left out",
        "tracks: there are no audio tracks; clips keep their own sound",
        "tracks[0][6]: the speed -1 is not among those that there are, 0.25 to 4",
        "tracks[0][6]: the speed 0 is not among those that there are, 0.25 to 4",
        'tracks[0][7]: "seq" names no file that can be read (ImageSequenceReference); it is left black',
        "tracks[2][2]: a transition on a higher track is left out",
        "output: OpenTimelineIO says nothing of size, quality and format; change what stands there",
        "global_start_time: the film begins at 0",
        "timeline: metadata of premiere is left out",
        "tracks[0][1]: a marker is left out",
        'tracks[0][1]: the effect "Blur" is left out',
        "tracks[0][1]: metadata of cmx_3600 is left out",
        'tracks[0][6]: the effect "FreezeFrame" is left out',
    }
    assert [one.get("start_time") for one in found.document["clips"]] == [0.0, 5.2, 7.2, 0.0, 1.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing", "is no OpenTimelineIO file"),
        ('{"a": 1}', "holds no timeline but a"),
        (schema.Clip("a").to_json_string(), "holds no timeline but a Clip"),
        (None, "cannot be read"),
        ("[" * 100_000, "nested more than 200 levels deep"),
        ("[" * 300 + "]" * 300, "nested more than 200 levels deep"),
        ('{"OTIO_SCHEMA": "Timeline.1", "tracks": null}', "makes no sense"),
        (
            schema.Timeline("a", tracks=[video(clip("a.mov", 0, 1, length=5))]).to_json_string().replace("25", "0"),
            "sense",
        ),
    ],
)
def test_what_is_no_timeline(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "a.otio"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidInput, match=words):
        import_from(path)


def test_without_the_library_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    with pytest.raises(Unavailable) as error:
        import_from(tmp_path / "a.otio")
    assert "vtid[otio]" in str(error.value.suggestion)


def test_other_programs_find_clips_cuts_and_sounds_where_they_are(tmp_path: Path) -> None:
    document = {
        "title": "Cut",
        "clips": [
            {"video_url": "/media/a.mov", "fit": "blur"},
            {"video_url": "/media/b.mov", "speed": 2, "transition": {"type": "wipe-left", "duration": 0.4}},
            {"color": "#102030", "track": 1, "start_time": 1, "duration": 1},
        ],
        "audio": {"music_url": "/media/song.mp3", "duck": 6, "tracks": [{"url": "/media/v.wav", "volume": 0.5}]},
        "output": {"fps": 25},
    }
    placed = [
        Placed("clips[0]", 0, 4, 0.0, 10.0, heard=True),
        Placed("clips[1]", 3.6, 5.6, 1.0, 10.0, entry_s=0.4),
        Placed("clips[2]", 1, 2),
        Placed("audio.music", 0, 5.6, 0.0, 2.0, heard=True),
        Placed("audio.tracks[0]", 1, 2, 0.5, 10.0, heard=True),
    ]
    said = export_to(tmp_path / "a.otio", document, 25, placed)
    timeline = otio.adapters.read_from_file(str(tmp_path / "a.otio"))
    first, above = timeline.video_tracks()
    assert [type(one).__name__ for one in first] == ["Clip", "Transition", "Clip"]
    assert [one.range_in_parent().duration.value for one in first.find_clips()] == [95, 45]
    assert [one.source_range.start_time.value for one in first.find_clips()] == [0, 35]  # twice as fast before the cut
    assert first[2].effects[0].time_scalar == 2
    assert first[0].media_reference.target_url == "file:///media/a.mov"
    assert (above[0].duration().value, above[1].media_reference.parameters["color"]) == (25, "#102030")
    own, music, voice = timeline.audio_tracks()
    assert [one.duration().value for one in (own[0], music[0], voice[1])] == [95, 50, 25]
    assert set(said) == {
        "clips[0].fit: only vtid reads it",
        'clips[1].transition: other programs know no "wipe-left"',
        "audio.music: other programs know no loops; they play it once",
        "audio.duck: only vtid reads it",
        "audio.tracks[0].volume: only vtid reads it",
        "output: only vtid reads it",
    }
