"""``python -m graphc``: the command."""

from graphc.cli import main

main()
