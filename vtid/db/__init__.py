"""The database: the truth about jobs. The only importer of SQLAlchemy.

`Database` owns the connections. `Jobs` holds what the doors do with a job (add, show, list, cancel, retry, delete,
follow), `Assets` and `Uploads` what they do with files that came in or are on their way, `Work` what a worker does with
a job (claim, keep, advance, end); `Webhooks` who wants to hear of it, `Deliveries` what is on its way there. `Users`,
`Tokens` and `Ledger` are the accounts: who there is, what they log in with, what they may spend. `Repeats` knows
requests that are sent again. Every method is one transaction, and all of it is async; synchronous code crosses over in
`vtid.engine.bridge` only.
"""

from vtid.db.assets import AssetFilter, Assets, Usage
from vtid.db.connect import Database
from vtid.db.deliveries import Deliveries, DeliveryFilter
from vtid.db.fetches import Fetch
from vtid.db.jobs import Awaited, JobFilter, Jobs, NewJob
from vtid.db.ledger import Ledger, Spending
from vtid.db.migrate import migrate
from vtid.db.repeats import Kept, Repeats
from vtid.db.tokens import Kind, Tokens
from vtid.db.uploads import Upload, UploadPart, Uploads
from vtid.db.users import UserFilter, Users
from vtid.db.webhooks import Webhooks
from vtid.db.work import Claim, LeaseLost, Work

__all__ = [
    "AssetFilter",
    "Assets",
    "Awaited",
    "Claim",
    "Database",
    "Deliveries",
    "DeliveryFilter",
    "Fetch",
    "JobFilter",
    "Jobs",
    "Kept",
    "Kind",
    "LeaseLost",
    "Ledger",
    "NewJob",
    "Repeats",
    "Spending",
    "Tokens",
    "Upload",
    "UploadPart",
    "Uploads",
    "Usage",
    "UserFilter",
    "Users",
    "Webhooks",
    "Work",
    "migrate",
]
