"""The step as the outside sees it: the video goes up, an order is made once, the result comes back and is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vtid.sdk import Context, MediaInfo, NeedsAttention, Problem, RetryLater, Step, StepError, Struct, Video

from .client import GhostCut, Uploaded
from .ordering import Ordering
from .orders import Params, complaints, plan
from .result import Report, fetch, report

STARTING, WORKING, FETCHING = "Starting text inpainting...", "Text inpainting in progress...", "Fetching the result"
UPLOADED, WORKED = 0.28, 0.95
"""How far the step is when the video is at GhostCut, and when the task is done."""


class Inputs(Struct):
    """What comes in."""

    video: Video


class Outputs(Struct):
    """What comes out."""

    video: Video
    report: Report
    ghostcut_task_id: str
    """What GhostCut's support asks for."""


class Remove(Step):
    """Remove burned-in text by GhostCut, in the cloud: the video is uploaded there, and points are spent.

    An order is made once, whatever crashes: one whose answer got lost is looked for in the account before another is
    made. While GhostCut works, no worker is held.
    """

    name = "inpaint_ghostcut.remove"
    isolated = False
    lazy = True
    paid = True

    def check(self, params: Params, sources: Mapping[str, MediaInfo]) -> Sequence[Problem]:
        """GhostCut's limits, of the tier and of the video, before anything is paid."""
        return complaints(params, sources.get("video"))

    def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs:
        """See the class."""
        info = inputs.video.info
        assert info is not None
        order = plan(params, info)
        with GhostCut(ctx.settings) as service:

            def upload(token: str) -> Uploaded:
                if ctx.settings.send == "link":
                    return Uploaded(_link(inputs.video))
                name = f"vtid-{token}.{info.container}"
                return service.upload(ctx.bring(inputs.video), name, _Stage(ctx, 0.0, UPLOADED, STARTING).told)

            uploaded = ctx.once("upload", upload, type=Uploaded)
            ordering = Ordering(ctx, service, order, uploaded, _Stage(ctx, UPLOADED, WORKED, WORKING).told, WORKING)
            done = ordering.finished()
            try:
                target, found = fetch(ctx, service, done, info, _Stage(ctx, WORKED, 1.0, FETCHING).told)
            except StepError:
                ordering.forget_end()  # a retry asks for it anew: GhostCut may have made it again
                raise
            _tidy(ctx, service, uploaded)
        return Outputs(Video(target), report(order, done, info, found), done.id)


class _Stage(Struct, frozen=True):
    """A part of the step's progress."""

    ctx: Context
    begin: float
    end: float
    words: str

    def told(self, share: float) -> None:
        self.ctx.progress(self.begin + (self.end - self.begin) * min(1.0, share), self.words)


def _link(video: Video) -> str:
    """Where GhostCut can fetch the video itself."""
    if not video.url or not video.url.isascii():
        words = "GhostCut cannot fetch videos here: server.public_url is not an address that it reaches."
        advice = 'Set server.public_url, or send = "upload" in [plugins.inpaint_ghostcut].'
        raise NeedsAttention(words, suggestion=advice)
    return video.url


def _tidy(ctx: Context, service: GhostCut, uploaded: Uploaded) -> None:
    """Delete the upload. It goes by itself after some weeks: not worth failing for."""
    if not ctx.settings.remove_uploads or not uploaded.key:
        return
    try:
        service.remove(uploaded.key)
    except (StepError, NeedsAttention, RetryLater) as error:
        ctx.log("the upload stays at GhostCut until it expires there", level="warning", reason=str(error))
