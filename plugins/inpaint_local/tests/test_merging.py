"""One text, one event."""

from __future__ import annotations

import numpy as np
import pytest

from vtid_inpaint_local.events import Event
from vtid_inpaint_local.merging import merge


def test_of_a_text_found_twice_the_longer_stays():
    def event(start, end, box):
        return Event(box, start, end, start, end, box, b"", text="not even the old captain.")

    whole = event(45, 100, (391, 638, 881, 695))
    again = event(65, 100, (384, 636, 883, 697))
    part = event(45, 100, (391, 638, 600, 695))
    assert merge([again, part, whole]) == [whole]


@pytest.mark.parametrize(("text", "kept"), [("rthere, qui", 1), ("Another one", 2), ("", 2)])
def test_a_piece_that_was_seen_by_itself_while_the_line_was_faint_is_no_text_of_its_own(text, kept):
    """Its box is a little higher than the line's."""
    line = Event((185, 371, 578, 417), 5, 26, 9, 22, (135, 344, 628, 432), b"", text="Look over there, quickly!")
    piece = Event((336, 368, 501, 421), 5, 14, 5, 10, (279, 337, 558, 432), b"", text=text)
    assert len(merge([piece, line])) == kept


def test_a_text_followed_in_two_pieces_is_there_for_the_time_of_both():
    def event(start, end):
        return Event((292, 373, 473, 416), start, end, start, end, (0, 0, 9, 9), b"", text="not even the old captain.")

    first, second = event(5, 11), event(8, 21)
    assert merge([first, second]) == [second]
    assert (second.start, second.core_start, second.core_end, second.end) == (5, 5, 21, 21)


def test_a_text_that_goes_on_in_another_colour_gets_the_strokes_of_both_pieces():
    def piece(start, end, x, text="Hello there", box=(50, 90, 200, 130)):
        mask = np.zeros((50, 180), bool)
        mask[20:30, x : x + 40] = True
        return Event(box, start, end, start, end, (40, 80, 220, 130), np.packbits(mask).tobytes(), text=text)

    first, second = piece(10, 30, 10), piece(31, 90, 100)
    (whole,) = merge([first, second])
    assert (whole.start, whole.end) == (10, 90)
    assert whole.mask[20:30, 10:50].all()
    assert whole.mask[20:30, 100:140].all()
    # What says something else, stands elsewhere, or comes after a pause is a text of its own.
    for other in (piece(31, 90, 100, "Good bye"), piece(31, 90, 100, box=(20, 90, 90, 130)), piece(40, 90, 100)):
        assert len(merge([piece(10, 30, 10), other])) == 2
