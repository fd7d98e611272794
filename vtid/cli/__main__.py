"""`python -m vtid.cli`, for where the script `vtid` is not on the path."""

from vtid.cli import main

main()
