"""A member of a group in a process of its own, so that it can be killed: `python -m ... BOOTSTRAP GROUP TOPIC`.

It prints a line once it has read a record, and goes on reading.
"""

from __future__ import annotations

import asyncio
import sys

from tests.contract.bus.stands import KafkaStand, Stored, read


async def main(bootstrap: str, group: str, topic: str) -> None:
    inbox = KafkaStand(bootstrap, group=group, topic=topic).inbox()
    await inbox.start(Stored())
    await read(inbox, 1)
    sys.stdout.write("read\n")
    sys.stdout.flush()
    while True:
        await inbox.poll(timeout=0.5)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
