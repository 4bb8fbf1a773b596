"""The sandbox's journal: an independent witness of every command that a container launched.

`server` is a process of its own (`python -m sandbox.journal`) that the stand-ins report to before they do anything;
`records` reads the file it wrote; `launched_twice` says what was launched twice; `process` starts it.
"""

from sandbox.journal.launched_twice import Finding, twice
from sandbox.journal.process import JournalProcess, start
from sandbox.journal.records import Journal, Launch, Marker, read

__all__ = ["Finding", "Journal", "JournalProcess", "Launch", "Marker", "read", "start", "twice"]
