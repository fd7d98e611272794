"""`vtid encoders`: which encoders this machine has, each of them tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vtid.cli.local import json_option, load_config, output

if TYPE_CHECKING:
    from vtid.domain.encoder import Verdict


@click.command("encoders", help="Try every encoder (encode, decode, compare); say what works, and why others do not.")
@click.option("--again", is_flag=True, help="Also those that were tried with these drivers and libraries before.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, again: bool) -> None:
    """Try; print a table."""
    from vtid import plugins
    from vtid.engine.encoders import opened

    out = output(ctx)
    config = load_config(ctx)
    encoders = opened(plugins.load(config), config.encoders)
    verdicts = encoders.verdicts(again=again)
    cards = encoders.cards()
    if out.as_json:
        out.json({"encoders": [told(one) for one in verdicts], "cards": cards, "ffmpeg": encoders.ffmpeg})
        return
    rows = [
        (
            one.candidate.encoder.name,
            one.candidate.encoder.codec,
            one.candidate.device or one.candidate.encoder.family,
            "works" if one.works else "no",
            f"{one.psnr:.1f} dB" if one.works and one.psnr else one.reason or "",
        )
        for one in verdicts
    ]
    out.table(("ENCODER", "CODEC", "ON", "", ""), rows)
    for name, card in cards.items():
        out.say(f"  {name} failed {card.failures} times in a row: {card.reason}")
    if config.encoders.hardware == "off":
        out.say("Hardware is switched off (encoders.hardware): all is encoded in software.")


def told(verdict: Verdict) -> dict[str, object]:
    """What came of trying an encoder, for programs."""
    encoder = verdict.candidate.encoder
    about = {"name": encoder.name, "codec": encoder.codec, "family": encoder.family, "engine": encoder.engine}
    found = {name: getattr(verdict, name) for name in ("works", "reason", "psnr", "seconds", "tried_at")}
    return about | {"device": verdict.candidate.device or None} | found
