"""``python -m roadie``: the same as ``roadie``."""

from roadie.cli import main

main()
