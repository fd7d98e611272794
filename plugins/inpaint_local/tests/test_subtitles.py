"""From followed lines to captions, SRT and JSON."""

from __future__ import annotations

import msgspec
import pytest

from vtid_inpaint_local.events import erasure
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.papers import summary
from vtid_inpaint_local.report import Removed, Report
from vtid_inpaint_local.subtitles import Boxes, boxes, captions, srt

TURN = Turn(0, 640, 360)
TIMES = [i / 25 for i in range(250)]


def line(text, box=(200, 300, 440, 330), start=25, end=75, sure=0.99, kind="subtitle"):
    event = erasure(box, start, end)
    event.erasure, event.text, event.sure, event.kind = False, text, sure, kind
    return event


def read(*events, turn=TURN):
    return captions(events, TIMES, 10.0, turn)


def test_lines_of_one_caption_in_reading_order():
    (one,) = read(
        line("second half", (330, 330, 470, 356)),
        line("first line", (200, 300, 440, 326), 26),
        line("the", (250, 331, 300, 355), end=76),
    )
    assert one.text == "first line\nthe second half"
    assert (one.start_s, one.end_s) == (1.0, 3.04)
    assert (one.box.x, one.box.y, one.box.width) == (200 / 640, 300 / 360, 270 / 640)
    assert [x.text for x in one.lines] == ["first line", "the", "second half"]


def test_captions_apart_in_place_or_time_stay_apart():
    found = read(line("below"), line("above", (200, 20, 440, 50)), line("later", start=80, end=120))
    assert [c.text for c in found] == ["above", "below", "later"]


def test_the_same_text_found_twice_is_told_once():
    found = read(
        line("Nobody knows the way"),
        line("knows the way", (270, 302, 440, 330), 30, 75),
        line("Nobody knows the w", (200, 300, 420, 330), 25, 90, sure=0.95),
    )
    assert [(c.text, c.start_s, c.end_s) for c in found] == [("Nobody knows the way", 1.0, 3.0)]


def test_a_text_that_a_flash_broke_is_one_caption_again():
    (one,) = read(line("Nobody knows the way"), line("Nobody knows the way.", start=80, end=120, sure=0.995))
    assert (one.text, one.start_s, one.end_s) == ("Nobody knows the way.", 1.0, 4.8)
    assert len(read(line("Nobody knows"), line("Who are you?", start=80, end=120))) == 2


def test_what_could_not_be_read_is_not_passed_off_as_text():
    good, bad = read(line("Nobody knows the way"), line("N CMEX", start=100, end=150, sure=0.91))
    assert bad.text is None
    assert bad.lines[0].text is None
    assert "does not know" in bad.note
    assert bad.confidence == 0.91
    assert "CMEX" not in srt([good, bad])


def test_where_nothing_could_be_read_the_summary_says_so():
    def said(*texts, kind="subtitle"):
        gone = [Removed(TURN.shown_region((0, 0, 64, 36)), 1.0, 2.0, text, kind) for text in texts]
        return summary(Report("", unchanged=not gone, detector="seer", events=gone, verified=True))

    assert said(None, None).endswith("None of the captions could be read, so that there is no file of subtitles.")
    assert "could be read" not in said(None, kind="mark")
    assert "could be read" not in said(None, "Nobody knows the way")
    assert "could be read" not in said()


def test_in_a_script_that_the_reader_lacks_a_lucky_reading_counts_for_nothing():
    junk = [line(f"OHA {i}", start=30 * i, end=30 * i + 20, sure=s) for i, s in enumerate([0.6, 0.99, 0.7, 0.5])]
    assert [c.text for c in read(*junk)] == [None] * 4
    assert srt(read(*junk)) == ""


def test_marks_and_tickers_are_in_the_json_and_not_in_the_srt():
    found = read(
        line("Nobody"),
        line("TV", (580, 10, 630, 30), 0, 250, kind="mark"),
        line("+++", (0, 340, 640, 358), kind="moving"),
    )
    assert {c.kind for c in found} == {"subtitle", "mark", "moving"}
    assert srt(found) == "1\n00:00:01,000 --> 00:00:03,000\nNobody\n\n"
    whole = msgspec.json.decode(boxes(found, TURN, 10.0), type=Boxes)
    assert (whole.width, whole.height, whole.captions) == (640, 360, found)


def test_erasures_are_no_text():
    assert read(erasure((0, 0, 100, 50), 0, 10)) == []


def test_the_last_frame_ends_with_the_film():
    assert read(line("bye", end=250))[0].end_s == 10.0


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "00:00:00,040"), (3661.9996, "01:01:02,000"), (59.9994, "00:00:59,999")]
)
def test_times_as_srt_has_them(seconds, shown):
    caption = read(line("x y z"))[0]
    caption.start_s = seconds
    assert srt([caption]).split("\n")[1].startswith(shown)


def test_chinese_pieces_join_without_a_space_and_columns_read_from_the_right():
    (row,) = read(line("你听见", (200, 300, 300, 330)), line("声音", (310, 300, 380, 330)))
    assert row.text == "你听见声音"
    (columns,) = read(line("左", (200, 50, 230, 200)), line("右", (240, 50, 270, 200)))
    assert columns.text == "右\n左"


def test_boxes_are_those_of_the_picture_as_shown():
    turn = Turn(90, 360, 640)  # coded lying on its side, shown 640×360
    (one,) = read(line("x y z", (100, 40, 130, 240)), turn=turn)
    assert (one.box.x, one.box.y) == pytest.approx((40 / 640, (360 - 130) / 360))
    assert (one.box.width, one.box.height) == pytest.approx((200 / 640, 30 / 360))
