"""The frames that `follow.sh` and `poll.sh` print, decoded without I/O: bytes in, observations out."""

from __future__ import annotations

from daemon.ports.pods.commands import Observation

_FIELDS = {"look": 6, "more": 3}


class FrameError(ValueError):
    """The bytes are no frames; nothing may be concluded from them."""


class FrameDecoder:
    """Takes the bytes of a stream, and returns each observation once it is whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Observation]:
        """Take bytes as they come, in pieces of any size, and return the observations that they complete.

        Raises:
            FrameError: they are no frames.
        """
        self._buffer += data
        observations = []
        while (observation := self._next()) is not None:
            observations.append(observation)
        return observations

    def _next(self) -> Observation | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        fields = bytes(self._buffer[:end]).decode("ascii", "replace").split(" ")
        try:
            if len(fields) != _FIELDS.get(fields[0]):
                raise ValueError("neither `look` nor `more`")  # noqa: TRY301 - told like the others
            length = int(fields[-1])
            if len(self._buffer) < end + 1 + length:
                return None
            observation = _observation(fields, bytes(self._buffer[end + 1 : end + 1 + length]))
        except ValueError as error:
            raise FrameError(f"unreadable frame {' '.join(fields)[:100]!r}") from error
        del self._buffer[: end + 1 + length]
        return observation


def _observation(fields: list[str], log: bytes) -> Observation:
    if fields[0] == "more":
        # The frame `look` that comes after this output tells how the command is. Until then it counts as alive.
        return Observation(
            started=True, given_up=False, alive=True, exit_code=None, log=log, offset=int(fields[1])
        )
    claim, alive, code, offset = fields[1:5]
    return Observation(
        started=claim not in {"-", "given-up"},
        given_up=claim == "given-up",
        alive=alive == "1",
        exit_code=None if code == "-" else int(code),
        log=log,
        offset=int(offset),
    )
