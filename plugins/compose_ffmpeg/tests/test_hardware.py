"""Which encoders of cards are tried, and which a step gets, as the settings say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from vtid.domain.encoder import Candidate
from vtid.plugins import PluginRecord, Status, load_one


def plugin(**settings: Any) -> PluginRecord:
    return load_one("compose_ffmpeg", "vtid_compose_ffmpeg", None, settings)


def chosen(record: PluginRecord, step: str, *families: str) -> list[str]:
    """What of the working encoders of those families a step gets."""
    assert record.choose_encoders
    usable = [
        Candidate(next(one for one in plugin().encoders if one.family == family) if family != "card" else CARD)
        for family in families
    ]
    return [one.encoder.family for one in record.choose_encoders(step, usable) or ()]


CARD = msgspec.structs.replace(plugin().encoders[0], family="card")
"""That another plugin brings."""


def test_families_are_tried_and_taken_in_the_order_of_the_settings() -> None:
    usual = plugin()
    assert {one.codec for one in usual.encoders} == {"h264", "hevc", "av1", "vp9"}
    assert chosen(usual, "x.y", "card", "vulkan", "vaapi", "qsv", "nvenc") == [
        "nvenc",
        "qsv",
        "vaapi",
        "vulkan",
        "card",
    ]
    own = plugin(hardware=["vaapi", "nvenc"])
    assert {one.family for one in own.encoders} == {"vaapi", "nvenc"}
    assert chosen(own, "x.y", "card", "nvenc", "vaapi") == ["vaapi", "nvenc", "card"]
    assert plugin(hardware=[]).encoders == ()


def test_a_step_can_be_kept_in_software() -> None:
    record = plugin(in_software=["compose_ffmpeg.proxy"])
    assert chosen(record, "compose_ffmpeg.proxy", "nvenc") == []
    assert chosen(record, "compose_ffmpeg.compose", "nvenc") == ["nvenc"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hardware": ["nvenk"]}, "hardware[0]: Invalid enum value 'nvenk'"),
        ({"hardwear": []}, 'did you mean "hardware"?'),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], words: str) -> None:
    record = plugin(**settings)
    assert record.status is Status.MISCONFIGURED
    assert words in record.reason
