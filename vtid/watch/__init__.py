"""Hot folders: drop a file, forget it, find the result. The only importer of watchfiles.

`declaration` reads what a folder is to do, `naming` and `settling` decide, purely; `folder` and `bucket` touch the
files; `looking` knows what waits, `taking` makes jobs of it, `returning` brings results out; `watcher` turns it all,
one round after the other. Whatever is decided is a row before it is done, so that a watcher that is killed goes on
where it was.
"""

from vtid.watch.checking import load
from vtid.watch.declaration import Declaration, Declared, read
from vtid.watch.declarations import Declarations
from vtid.watch.explaining import explain

__all__ = ["Declaration", "Declarations", "Declared", "explain", "load", "read"]
