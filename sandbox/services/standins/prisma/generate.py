"""`prisma generate`: writes the client into the container, which keeps it until the container ends."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from sandbox.services.standins.node import client_directory
from sandbox.services.standins.prisma.schema import Schema


def generate(schema: Schema) -> None:
    """Write the client of a schema to the output of its generator."""
    output = client_directory(Path.cwd() / schema.path)
    output.mkdir(parents=True, exist_ok=True)
    fresh = output / f"index.js.{os.getpid()}"
    digest = hashlib.sha256(schema.text.encode()).hexdigest()
    fresh.write_text(f"// @prisma/client, generated from {schema.path}, {digest}\n")
    fresh.rename(output / "index.js")
    where = os.path.relpath(output).replace(".prisma/client", "@prisma/client")
    sys.stdout.write(f"\n✔ Generated Prisma Client (v6.19.3) to ./{where} in 57ms\n\n")
