"""Accounts: who may come in, with what, how much of it, and what it costs.

`Accounts` is what the doors talk to: the web, the command line. Passwords and tokens have a module each, the only ones
that import their libraries; `first_start` makes the first admin and the key of this machine; `pricing` turns video into
credits. The rows are `vtid.db`'s. The libraries are imported when somebody first logs in or shows a token: workers,
whose start is waited for, never need them.
"""

from vtid.accounts.accounts import Accounts, TokenPair
from vtid.accounts.first_start import FirstStart, local_key, prepare
from vtid.sealing import Seal

__all__ = ["Accounts", "FirstStart", "Seal", "TokenPair", "local_key", "prepare"]
