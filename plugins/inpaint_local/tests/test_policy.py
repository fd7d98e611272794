"""What lies over the picture, and what stands in it; which of it goes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vtid.sdk import Coordinates, InvalidInput, Region, RegionType
from vtid_inpaint_local import policy
from vtid_inpaint_local.events import Evidence, Findings, Motion, Trace, erasure
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.overlay import evidence
from vtid_inpaint_local.zones import Zones

from .conftest import burn, pan, text_box, texture
from .test_parts import Seer, scan

TURN = Turn(0, 320, 160)
FOOT = {"text": "Hello there", "at": (98, 146), "scale": 0.8}


def kinds(film, detector=None):
    found = scan(film, detector)
    policy.name_kinds(found, TURN)
    return [e.kind for e in found.events]


def locked(count=50, seed=3):
    """A still camera: the same picture, and its grain."""
    base = texture(160, 320, seed).astype(np.float32)
    rng = np.random.default_rng(seed)
    return [np.clip(base + rng.normal(0, 1.0, base.shape), 0, 255).astype(np.uint8) for _ in range(count)]


def sign(pixels, slant=0.0, dx=0.0, at=(30, 40)):
    """Bright letters on a dark board that belongs to the scene: seen from the side, and with its own shading."""
    board = np.full((34, 150, 3), 128, np.uint8)
    board[..., 0] = np.linspace(70, 40, 150)[None]
    cv2.putText(board, "BAKERY", (10, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (225, 128, 128), 2, cv2.LINE_AA)
    x, y = at[0] + dx, at[1]
    fall = 150 * np.tan(np.radians(slant))
    corners = np.array([[x, y], [x + 150, y + fall], [x + 150, y + fall + 30], [x, y + 34]], np.float32)
    flat = np.array([[0, 0], [150, 0], [150, 34], [0, 34]], np.float32)
    return cv2.warpPerspective(
        board, cv2.getPerspectiveTransform(flat, corners), (320, 160), pixels.copy(), borderMode=cv2.BORDER_TRANSPARENT
    )


class Board(Seer):
    """Sees the bright letters wherever they are."""

    def boxes(self, bgr):
        from vtid_inpaint_local.detect import Found

        ys, xs = np.nonzero(bgr[:110].min(2) > 190)
        return [Found((xs.min() - 2, ys.min() - 2, xs.max() + 3, ys.max() + 3), 0.9)] if xs.size > 60 else []


@pytest.mark.parametrize("slant", [0.0, 5.0, -4.0])
def test_a_sign_in_a_locked_shot_stays(slant):
    assert kinds([sign(p, slant) for p in locked()], Board()) == ["scene"]


def test_a_subtitle_in_a_locked_shot_goes():
    film = [burn(p) if 10 <= i < 40 else p for i, p in enumerate(locked())]
    assert kinds(film) == ["subtitle"]


def test_a_subtitle_for_the_whole_of_a_locked_shot_goes_by_its_place():
    assert kinds([burn(p, **FOOT) for p in locked()], Seer(text_box(**FOOT))) == ["subtitle"]


def test_a_subtitle_over_a_moving_picture_goes_wherever_it_is():
    high = {"text": "Hello there", "at": (60, 60)}
    (kind,) = kinds([burn(p, **high) for p in pan(50, speed=2.0)], Seer(text_box(**high)))
    assert kind in ("subtitle", "mark")


def test_a_sign_before_a_hand_held_camera_stays():
    scene = sign(texture(160, 320, 3))
    film = []
    for i in range(50):
        move = np.array([[1, 0, 1.8 * np.sin(i / 4)], [0, 1, 1.4 * np.cos(i / 5)]], np.float32)
        film.append(cv2.warpAffine(scene, move, (320, 160), borderMode=cv2.BORDER_REPLICATE))
    assert set(kinds(film, Board())) <= {"scene"}


def test_a_board_that_rests_and_moves_on_stays():
    film = [sign(p, dx=max(0, i - 25) * 1.7) for i, p in enumerate(locked(60))]
    assert set(kinds(film, Board())) == {"scene"}


def test_a_sign_behind_which_nothing_ends_but_before_which_somebody_steps_stays():
    film = locked(60)
    film = [sign(p) for p in film]
    for pixels in film[35:]:
        pixels[20:110, 10:220] = (60, 128, 128)
    assert kinds(film, Board()) == ["scene"]


# --- by the evidence alone --------------------------------------------------------------------------------------------


def event(box=(100, 20, 220, 44), start=0, end=100, **told):
    told = {"moves_behind": 0.0, "displaced": 0.0, "began": None, "ended": None, "slant": 0.0} | told
    out = erasure(box, start, end)
    out.erasure, out.evidence = False, Evidence(**told)
    return out


def named(*events, frames=100, cuts=()):
    found = Findings(list(events), set(cuts), [i / 25 for i in range(frames)])
    policy.name_kinds(found, TURN)
    return [e.kind for e in events]


GONE, MOVED, NEXT = Trace(0.2, 3, 0.1), Trace(0.97, 6, 0.3), Trace(0.99, 0, 0.1)


@pytest.mark.parametrize(
    ("told", "where", "kind"),
    [
        ({"ended": GONE}, {"end": 60}, "subtitle"),
        ({"began": GONE}, {"start": 30}, "subtitle"),
        ({"ended": MOVED}, {"end": 60}, "scene"),
        ({"began": GONE, "ended": MOVED}, {"start": 20, "end": 60}, "scene"),
        ({"ended": NEXT}, {"end": 60}, "scene"),
        ({"ended": Trace(0.2, 3, 0.9)}, {"end": 60}, "scene"),
        ({"moves_behind": 0.9}, {"end": 60}, "subtitle"),
        ({"moves_behind": 0.9, "displaced": 0.5}, {"end": 60}, "scene"),
        ({}, {}, "scene"),
        ({}, {"box": (260, 8, 312, 20)}, "mark"),
        ({"slant": 5.0}, {"box": (260, 8, 312, 20)}, "scene"),
        ({}, {"box": (100, 130, 220, 148)}, "subtitle"),
    ],
)
def test_evidence_decides(told, where, kind):
    assert named(event(**where, **told)) == [kind]


def test_what_ends_at_a_cut_proves_nothing_and_what_stands_over_one_does():
    assert named(event(end=60, ended=GONE), cuts=[60]) == ["scene"]
    assert named(event(end=60), cuts=[30]) == ["subtitle"]


def test_an_unproven_text_in_the_style_of_a_proven_one_goes():
    assert named(event(end=40, ended=GONE), event(box=(60, 21, 250, 44), start=50)) == ["subtitle"] * 2
    assert named(event(end=40, ended=GONE), event(box=(60, 90, 250, 114), start=50)) == ["subtitle", "scene"]


def test_a_few_letters_that_seem_slanted_go_with_the_other_line_of_their_caption():
    line = event(box=(60, 45, 250, 69), end=40, ended=GONE)
    assert named(line, event(end=41, slant=2.7)) == ["subtitle"] * 2
    assert named(line, event(end=80, slant=2.7)) == ["subtitle", "scene"]


def test_a_caption_that_grows_word_by_word_and_is_centred_anew_is_no_sign_that_moves():
    moved = Trace(0.97, 60, 0.3)
    words = [(130, 190), (100, 220), (60, 260)]
    grown = [
        event(box=(x0, 60, x1, 84), start=10 + 20 * i, end=30 + 20 * i, ended=moved if i < 2 else GONE)
        for i, (x0, x1) in enumerate(words)
    ]
    assert named(*grown) == ["subtitle"] * 3
    pushed = [
        event(box=(x, 60, x + 90, 84), start=10 + 20 * i, end=30 + 20 * i, ended=MOVED)
        for i, x in enumerate((100, 106))
    ]
    assert named(*pushed) == ["scene"] * 2


@pytest.mark.parametrize(
    ("trace", "kind"),
    [(Trace(0.97, 40, 0.3), "subtitle"), (Trace(0.97, 6, 0.3), "scene"), (Trace(0.97, 40, 2.5), "scene")],
)
def test_a_caption_that_slid_in_over_a_picture_that_stood_is_no_sign(trace, kind):
    assert named(event(start=30, began=trace)) == [kind]


@pytest.mark.parametrize(("moves", "seen"), [(True, 1.0), (False, 0.0)])
def test_between_thin_letters_without_an_outline_the_scene_is_seen_to_move(moves, seen):
    """Their gaps are as thin as they are, and look like dark letters; but those do not stand."""
    fill = (
        cv2.putText(np.zeros((160, 320), np.uint8), "Nobody knows the way", (40, 60), 0, 0.6, 255, 1, cv2.LINE_AA) / 255
    )
    scenes = pan(60, speed=4.0)[::4] if moves else [pan(1)[0]] * 15
    film = [np.rint(p * (1 - fill[..., None]) + fill[..., None] * np.array([235, 128, 128])) for p in scenes]
    ys, xs = np.nonzero(fill > 0.1)
    box = (int(xs.min()) - 6, int(ys.min()) - 8, int(xs.max()) + 7, int(ys.max()) + 9)
    assert evidence([p.astype(np.uint8) for p in film], box).moves_behind == pytest.approx(seen, abs=0.1)


def test_what_stays_for_long_is_a_mark():
    assert named(event(end=400, moves_behind=1.0), frames=1000) == ["mark"]
    assert named(event(end=300, moves_behind=1.0), frames=1000) == ["subtitle"]


def test_moving_text_is_its_own_kind():
    rolling = event(end=60, displaced=1.0)
    rolling.motion = Motion(rolling.box, [(0, 0)] * 100)
    assert named(rolling) == ["moving"]


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("subtitles", ["subtitle", "mark", "moving", "erasure"]),
        ("all", ["subtitle", "mark", "moving", "scene", "erasure"]),
        ("static", ["mark", "erasure"]),
        ("regions", ["erasure"]),
    ],
)
def test_the_policy_says_which_kinds_go(name, gone):
    rolling = event(end=50)
    rolling.motion = Motion(rolling.box, [(0, 0)] * 100)
    events = [
        event(end=60, ended=GONE),
        event(box=(260, 8, 312, 20)),
        rolling,
        event(box=(90, 60, 230, 95)),
        erasure((0, 0, 9, 9), 0, 5),
    ]
    found = Findings(events, set(), [i / 25 for i in range(100)])
    stay = policy.apply(found, name, Zones([], TURN), TURN)
    assert [e.kind for e in found.events] == gone
    assert len(stay) + len(found.events) == 5


def test_a_text_region_asks_for_scene_text_too():
    zones = Zones([Region(RegionType.TEXT, Coordinates(0, 0, 1, 1))], TURN)
    found = Findings([event()], set(), [i / 25 for i in range(100)])
    assert not policy.apply(found, "subtitles", zones, TURN)
    assert [e.kind for e in found.events] == ["scene"]


def test_only_regions_without_any_is_refused():
    with pytest.raises(InvalidInput, match="no text region, no erasure region and no mask"):
        policy.require_regions("regions", Zones([], TURN), masked=False)
    policy.require_regions("regions", Zones([], TURN), masked=True)
