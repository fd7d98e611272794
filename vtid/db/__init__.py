"""The database: the truth about jobs. The only importer of SQLAlchemy.

`Database` owns the connections. `Jobs` holds what the doors do with a job (add, show, list, cancel, retry, delete,
follow), `Work` what a worker does with it (claim, keep, advance, end); `Webhooks` who wants to hear of it, `Deliveries`
what is on its way there. Every method is one transaction, and all of it
is async; synchronous code crosses over in `vtid.engine.bridge` only.
"""

from vtid.db.connect import Database
from vtid.db.deliveries import Deliveries, DeliveryFilter
from vtid.db.jobs import Awaited, JobFilter, Jobs, NewJob
from vtid.db.migrate import migrate
from vtid.db.webhooks import Webhooks
from vtid.db.work import Claim, Fetch, LeaseLost, Work

__all__ = [
    "Awaited",
    "Claim",
    "Database",
    "Deliveries",
    "DeliveryFilter",
    "Fetch",
    "JobFilter",
    "Jobs",
    "LeaseLost",
    "NewJob",
    "Webhooks",
    "Work",
    "migrate",
]
