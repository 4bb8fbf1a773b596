"""The sandbox's journal: an independent witness of every command that a container launched.

server, __main__    the witness, a process of its own to which the stand-ins report before they do anything
process             starts the witness
records             reads the file that the witness wrote
launched_twice      finds what was launched twice
"""

from sandbox.journal.launched_twice import Finding, twice
from sandbox.journal.process import JournalProcess, start
from sandbox.journal.records import Journal, Launch, Marker, read

__all__ = ["Finding", "Journal", "JournalProcess", "Launch", "Marker", "read", "start", "twice"]
