"""What a film has of its sources as they are is theirs, bit for bit; only the rest is rendered."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from tests.media.compose.films import RATE, draw, grey, heard, level, numbers, pictures, pitch
from vtid.errors import Misfit
from vtid.media import PyAVMedia
from vtid.sdk import File
from vtid.testing import run_step
from vtid_compose_ffmpeg import Compose, Plan

SOURCE = {"output": {"resolution": "source", "fps": "source"}}
TEXT = {"text": "Hi", "position": "top-left", "start_time": 2.0, "end_time": 2.4, "font_size": 40}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """5 s with a closed group each second."""
    options = {"g": "25", "crf": "10", "preset": "ultrafast", "x264-params": "scenecut=0"}
    return draw(tmp_path / "a.mp4", [grey(n) for n in range(125)], size=(160, 90), tone=440, options=options)


def compose(tmp_path: Path, source: Path, step: Any = None, more: Sequence[Path] = (), **document: Any) -> Any:
    film = {"clips": [{"video_url": "asset:a"}]} | SOURCE | document
    (tmp_path / "work").mkdir(exist_ok=True)
    files = {"file_a": File(source)} | {f"file_{one.stem}": File(one) for one in more}
    return run_step(step or Compose(), tmp_path / "work", inputs={"files": files}, params=film, media=PyAVMedia())


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(**{kind: 0}) if packet.size]


def test_only_the_groups_under_the_text_are_rendered(tmp_path: Path, source: Path) -> None:
    out = compose(tmp_path, source, overlays=[TEXT])
    film = out.video.path
    before, after = pictures(source), pictures(film)
    assert len(after) == 125
    assert [(piece.start_s, piece.end_s, piece.copied) for piece in out.report.pieces] == [
        (0.0, 2.0, True), (2.0, 3.0, False), (3.0, 5.0, True),
    ]  # fmt: skip
    same = [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if np.array_equal(a, b)]
    assert {*range(50), *range(75, 125)} <= set(same)
    lit = [n for n, picture in enumerate(after) if picture[:40, :40].max() > 248]
    assert lit == list(range(50, 60))
    assert packets(source, "audio") == packets(film, "audio")


def test_what_is_explained_is_what_is_done(tmp_path: Path, source: Path) -> None:
    plan = compose(tmp_path, source, Plan(), overlays=[TEXT]).report
    assert plan.pieces == compose(tmp_path, source, overlays=[TEXT]).report.pieces


def test_a_film_without_a_change_is_copied_whole(tmp_path: Path, source: Path) -> None:
    out = compose(tmp_path, source)
    assert [piece.copied for piece in out.report.pieces] == [True]
    assert packets(source, "video") == packets(out.video.path, "video")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"output": {"resolution": "480p", "fps": "source"}}, "size is not the source's"),
        ({"output": {"resolution": "source", "fps": 30}}, "frame rate is not the source's"),
        ({"output": {**SOURCE["output"], "codec": "hevc"}}, "another coding"),
        ({"output": {**SOURCE["output"], "bitrate": "2M"}}, "a bit rate is asked for"),
        ({"clips": [{"video_url": "asset:a", "speed": 2}]}, "another speed"),
        ({"clips": [{"video_url": "asset:a", "flip": "horizontal"}]}, "turned"),
        ({"clips": [{"video_url": "asset:a", "trim_start": 0.1, "trim_end": 0.4}]}, "a cut lies within its group"),
        ({"overlays": [{"text": "all the time"}]}, "text is over it"),
        ({"output": {**SOURCE["output"], "format": "webm"}}, "another coding"),
    ],
)
def test_why_all_is_rendered_is_said(tmp_path: Path, source: Path, document: Any, words: str) -> None:
    report = compose(tmp_path, source, Plan(), **document).report
    assert [piece.copied for piece in report.pieces] == [False]
    assert words in report.pieces[0].why


def test_text_looks_the_same_whichever_way(tmp_path: Path, source: Path) -> None:
    look = TEXT | {"font_color": "#FF8000", "box_color": "#0000FF", "fade_in": 0.2}
    smart = compose(tmp_path, source, overlays=[look])
    kept = pictures(smart.video.path)
    smart.video.path.unlink()
    full = compose(tmp_path, source, overlays=[look], output={**SOURCE["output"], "bitrate": "20M"})
    assert not full.report.pieces[0].copied
    for number in (50, 53, 58):
        both = [picture.astype(int) for picture in (kept[number], pictures(full.video.path)[number])]
        assert np.abs(both[0] - both[1]).mean() < 4


# --- cuts


def spans(out: Any) -> list[tuple[float, float, bool]]:
    return [(piece.start_s, piece.end_s, piece.copied) for piece in out.report.pieces]


def copied_frames(out: Any) -> list[int]:
    """Frames of the film, at 25 a second."""
    return [n for begin, end, copied in spans(out) if copied for n in range(round(begin * 25), round(end * 25))]


def require_copied(out: Any, source: Path, shift: int) -> None:
    """The copied frames are the source's to the bit, and come from its packets."""
    before, after = pictures(source), pictures(out.video.path)
    frames = copied_frames(out)
    assert frames
    assert all(np.array_equal(after[n], before[n + shift]) for n in frames)
    first, last = frames[0], frames[-1] + 1
    assert packets(out.video.path, "video")[first:last] == packets(source, "video")[first + shift : last + shift]


@pytest.mark.parametrize("options", [{"bf": "0"}, {}, {"bf": "3", "x264-params": "scenecut=0:b-adapt=0"}])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_cut_renders_no_more_than_its_groups(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    wishes = {"g": "25", "crf": "10", "preset": "ultrafast", "x264-params": "scenecut=0"} | options
    source = draw(tmp_path / name, [grey(n) for n in range(125)], tone=440, options=wishes)
    out = compose(tmp_path, source, clips=[{"video_url": "asset:a", "trim_start": 0.6, "trim_end": 3.12}])
    assert numbers(out.video.path) == [n % 36 for n in range(15, 78)]
    assert spans(out) == [(0.0, 0.4, False), (0.4, 2.4, True), (2.4, 2.52, False)]
    require_copied(out, source, 15)
    sound = heard(out.video.path)
    assert pitch(sound, 0.2, 2.4) == pytest.approx(440, abs=2)
    assert len(sound) / RATE == pytest.approx(2.52, abs=0.03)


def test_a_cut_at_key_frames_is_copied_whole(tmp_path: Path, source: Path) -> None:
    out = compose(tmp_path, source, clips=[{"video_url": "asset:a", "trim_start": 1, "trim_end": 3}])
    assert spans(out) == [(0.0, 2.0, True)]
    assert numbers(out.video.path) == [n % 36 for n in range(25, 75)]
    assert packets(out.video.path, "video") == packets(source, "video")[25:75]
    assert out.report.encoder is None


def test_pieces_of_one_film_in_another_order(tmp_path: Path, source: Path) -> None:
    clips = [
        {"video_url": "asset:a", "trim_start": 3, "trim_end": 4.2},
        {"video_url": "asset:a", "trim_start": 0.8, "trim_end": 2},
        {"color": "#0000FF", "duration": 0.2},
    ]
    out = compose(tmp_path, source, clips=clips)
    assert numbers(out.video.path)[:60] == [n % 36 for n in [*range(75, 105), *range(20, 50)]]
    assert [piece.copied for piece in out.report.pieces] == [True, False, True, False]
    assert "no video" in out.report.pieces[-1].why
    assert "cut lies within" in out.report.pieces[1].why


def test_films_of_one_camera_are_copied_and_their_crossfade_is_rendered(tmp_path: Path, source: Path) -> None:
    wishes = {"g": "25", "crf": "10", "preset": "ultrafast", "x264-params": "scenecut=0"}
    other = draw(tmp_path / "b.mp4", [(200, 30, 30)] * 75, tone=900, options=wishes)
    clips = [{"video_url": "asset:a"}, {"video_url": "asset:b", "transition": {"duration": 0.4}}]
    out = compose(tmp_path, source, more=[other], clips=clips)
    assert [piece.copied for piece in out.report.pieces] == [True, False, True]
    assert "leads into" in out.report.pieces[1].why
    assert out.report.frames == 125 + 75 - 10
    film = pictures(out.video.path)
    assert abs(film[-1][45, 80].astype(int) - (200, 30, 30)).max() < 12
    reds = [int(picture[45, 80, 0]) - int(picture[45, 80, 2]) for picture in film[114:126]]
    assert reds == sorted(reds), "one goes over into the other, without a jump back"
    sound = heard(out.video.path)
    assert pitch(sound, 1, 4) == pytest.approx(440, abs=2)
    assert pitch(sound, 5.5, 7) == pytest.approx(900, abs=2)


def test_a_film_that_is_coded_otherwise_is_rendered(tmp_path: Path, source: Path) -> None:
    other = draw(tmp_path / "b.mp4", [(200, 30, 30)] * 50, options={"profile": "baseline", "g": "25", "bf": "0"})
    out = compose(tmp_path, source, more=[other], clips=[{"video_url": "asset:a"}, {"video_url": "asset:b"}])
    assert spans(out) == [(0.0, 5.0, True), (5.0, 7.0, False)]
    assert "coded in another way than the first" in out.report.pieces[1].why
    assert abs(pictures(out.video.path)[-1][45, 80].astype(int) - (200, 30, 30)).max() < 12


@pytest.mark.parametrize("document", [{"audio": {"original_audio_volume": 0.5}}, {"audio": {"normalize": True}}])
def test_another_sound_leaves_the_picture_as_it_is(tmp_path: Path, source: Path, document: Any) -> None:
    out = compose(tmp_path, source, **document)
    assert packets(out.video.path, "video") == packets(source, "video")
    assert packets(out.video.path, "audio") != packets(source, "audio")
    if "normalize" in document["audio"]:
        assert out.report.loudness == pytest.approx(-14, abs=0.4)
    else:
        assert level(heard(out.video.path), 1, 4) == pytest.approx(0.25 / np.sqrt(2), rel=0.05)


def test_a_muted_film_keeps_its_picture_and_loses_its_sound(tmp_path: Path, source: Path) -> None:
    out = compose(tmp_path, source, clips=[{"video_url": "asset:a", "mute": True}])
    assert packets(out.video.path, "video") == packets(source, "video")
    with av.open(str(out.video.path)) as film:
        assert not film.streams.audio


def test_a_variable_rate_is_rendered_where_it_varies(tmp_path: Path) -> None:
    """The third second lacks two frames; the film shows those before them a little longer."""
    times = [n for n in range(125) if n not in (60, 61)]
    wishes = {"g": "25", "crf": "10", "preset": "ultrafast", "x264-params": "scenecut=0"}
    colours = [grey(n) for n in times]
    source = draw(tmp_path / "a.mp4", colours, times=times, options=wishes)
    out = compose(tmp_path, source, output={"resolution": "source", "fps": 25})
    seen = numbers(out.video.path)
    assert len(seen) == 125
    assert [seen[n] for n in times] == [n % 36 for n in times]
    assert {seen[60], seen[61]} == {59 % 36}


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx265", {"preset": "ultrafast", "x265-params": "log-level=none:keyint=25:open-gop=0:crf=12"}),
        ("a.webm", "libvpx-vp9", {"g": "25", "crf": "10", "deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_hevc_and_vp9_are_cut_as_well(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    source = draw(tmp_path / name, [grey(n) for n in range(75)], codec=codec, options=options)
    out = compose(
        tmp_path,
        source,
        clips=[{"video_url": "asset:a", "trim_start": 0.6}],
        output={"resolution": "source", "fps": "source", "format": name[2:]},
    )
    assert spans(out) == [(0.0, 0.4, False), (0.4, 2.4, True)]
    assert numbers(out.video.path) == [n % 36 for n in range(15, 75)]
    require_copied(out, source, 15)


def test_what_is_rendered_has_the_colours_of_what_is_copied(tmp_path: Path) -> None:
    """Untagged film of few lines is BT.601, as players take it, beside which BT.709 would be of another red."""
    wishes = {"g": "25", "crf": "10", "preset": "ultrafast", "x264-params": "scenecut=0"}
    source = draw(tmp_path / "a.mp4", [(200, 30, 30)] * 75, options=wishes, tags=(2, 2, 2, 1))
    out = compose(tmp_path, source, clips=[{"video_url": "asset:a", "trim_start": 0.6}])
    assert [piece.copied for piece in out.report.pieces] == [False, True]
    film = pictures(out.video.path)
    assert np.abs(film[2].astype(int) - film[-1]).max() <= 3


def test_where_parts_do_not_fit_all_is_rendered_and_it_is_said(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misfit(*_: Any, **__: Any) -> int:
        raise Misfit("frame 10 is not as in its source")

    monkeypatch.setattr(sys.modules["vtid.media.compose.joined"], "check_joints", misfit)
    out = compose(tmp_path, source, overlays=[TEXT])
    assert spans(out) == [(0.0, 5.0, False)]
    assert "did not fit together: frame 10" in out.report.pieces[0].why
    assert numbers(out.video.path)[60:] == [n % 36 for n in range(60, 125)]
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["film.mp4"]


@pytest.mark.parametrize(("begin", "end"), [(0.6, 3.12), (0.0, 2.52), (1.01, 5.0)])
def test_the_sound_of_a_cut_is_copied_to_the_sample(tmp_path: Path, source: Path, begin: float, end: float) -> None:
    clip = {"video_url": "asset:a", "trim_start": begin, "trim_end": end}
    out = compose(tmp_path, source, clips=[clip])
    assert out.report.audio_encoder is None
    taken, given = packets(out.video.path, "audio"), packets(source, "audio")
    at = given.index(taken[0])
    assert taken == given[at : at + len(taken)]
    whole, part = heard(source), heard(out.video.path)
    frames = len(pictures(out.video.path))
    first = round(begin * RATE)
    assert len(part) == pytest.approx(frames * RATE / 25, abs=1024)
    length = min(len(part), len(whole) - first)
    assert np.abs(part[:length] - whole[first : first + length]).max() < 0.01  # decoders make some noise up
    with av.open(str(out.video.path)) as film:
        assert film.streams.audio[0].duration * film.streams.audio[0].time_base == pytest.approx(frames / 25, abs=1e-4)


@pytest.mark.parametrize(
    "document",
    [{"audio": {"original_audio_volume": 0.5}}, {"output": SOURCE["output"] | {"format": "mkv"}}],
)
def test_the_sound_of_a_cut_is_mixed_where_it_must_be(tmp_path: Path, source: Path, document: Any) -> None:
    clip = {"video_url": "asset:a", "trim_start": 0.6, "trim_end": 3.12}
    out = compose(tmp_path, source, clips=[clip], **document)
    assert out.report.audio_encoder == "aac"
    assert len(heard(out.video.path)) / RATE == pytest.approx(2.52, abs=0.03)
