"""The command line: one file a verb; parse, call the API, print."""

from bench.cli.app import main

__all__ = ["main"]
