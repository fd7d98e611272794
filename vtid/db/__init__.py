"""The database: the truth about jobs. The only importer of SQLAlchemy.

`Database` owns the connections. `Jobs` holds what the doors do with a job (add, show, list, cancel, retry, delete,
follow), `Assets` and `Uploads` what they do with files that came in or are on their way, `Work` what a worker does with
a job (claim, keep, advance, end); `Webhooks` who wants to hear of it, `Deliveries` what is on its way there; `Watches`
the hot folders and what became of their files; `Derived` what was made of which content already. `Users`, `Tokens` and
`Ledger` are the accounts: who there is, what they log in with, what they may spend. `Repeats` knows requests that are
sent again. Every method is one transaction, and all of it is async; synchronous code crosses over in
`vtid.engine.bridge` only.
"""

from vtid.db.assets import AssetFilter, Assets, Usage
from vtid.db.calls import Calls, Woken
from vtid.db.clips import ClipOf, Clips
from vtid.db.connect import Database
from vtid.db.deliveries import Deliveries, DeliveryFilter
from vtid.db.derived import Derivation, Derived, content_of
from vtid.db.editing import Editing, Edits
from vtid.db.fetches import Fetch
from vtid.db.jobs import Awaited, Jobs, NewJob
from vtid.db.ledger import Ledger, Spending
from vtid.db.listing import JobFilter
from vtid.db.migrate import migrate
from vtid.db.repeats import Kept, Repeats
from vtid.db.tokens import Kind, Tokens
from vtid.db.uploads import Upload, UploadPart, Uploads
from vtid.db.users import UserFilter, Users
from vtid.db.watches import Overview, Standing, Watches, WatchFileFilter
from vtid.db.webhooks import Webhooks
from vtid.db.work import Claim, LeaseLost, Work

__all__ = [
    "AssetFilter",
    "Assets",
    "Awaited",
    "Calls",
    "Claim",
    "ClipOf",
    "Clips",
    "Database",
    "Deliveries",
    "DeliveryFilter",
    "Derivation",
    "Derived",
    "Editing",
    "Edits",
    "Fetch",
    "JobFilter",
    "Jobs",
    "Kept",
    "Kind",
    "LeaseLost",
    "Ledger",
    "NewJob",
    "Overview",
    "Repeats",
    "Spending",
    "Standing",
    "Tokens",
    "Upload",
    "UploadPart",
    "Uploads",
    "Usage",
    "UserFilter",
    "Users",
    "WatchFileFilter",
    "Watches",
    "Webhooks",
    "Woken",
    "Work",
    "content_of",
    "migrate",
]
