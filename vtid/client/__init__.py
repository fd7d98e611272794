"""vtid from Python, over HTTP: `Client`, and `AsyncClient` with the same methods to await.

::

    with Client("http://127.0.0.1:8750") as vtid:
        job = vtid.submit("remove-text", file="talk.mp4")
        job = vtid.wait(job["job_id"])
        vtid.result(job, "clean.mp4")

Jobs are plain dictionaries, as the daemon tells them. What it refuses is raised as the error of `vtid.errors` that it
stands for: `InvalidInput`, `NotFound`, `Conflict`, `Unavailable` and so on, with `message`, `problems`, `suggestion`.
"""

from vtid.client.asynchronous import AsyncClient
from vtid.client.sync import Client
from vtid.client.talk import ENDED, Event, Job

__all__ = ["ENDED", "AsyncClient", "Client", "Event", "Job"]
