"""What the tests of smart render have in common: an edit, the three operations, and how their result is looked at."""

from __future__ import annotations

import hashlib
import pickle
from itertools import pairwise

import av
import numpy as np

from vtid.media.synth import Look

X264 = {"g": "25"}
X265 = {"x265-params": "log-level=error:keyint=25:open-gop=0"}
HEVC = {"codec": "libx265", "look": Look(options=X265)}
MIDDLE = [(40, 44)]


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
