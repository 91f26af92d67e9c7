"""python -m candid COMMAND, where the package is not installed."""

from candid.cli import main

main()
