"""`prisma COMMAND [OPTIONS]`: the command line, and how an error ends a command."""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox.services.standins import controls
from sandbox.services.standins.controls import Control
from sandbox.services.standins.prisma.datasource import Datasource
from sandbox.services.standins.prisma.failures import PrismaError
from sandbox.services.standins.prisma.schema import Schema, load

# The options of each command: those with a value, and those without.
_OPTIONS: dict[str, tuple[set[str], set[str]]] = {
    "migrate deploy": ({"--schema", "--config"}, set()),
    "migrate status": ({"--schema", "--config"}, set()),
    "migrate reset": (
        {"--schema", "--config"},
        {"--force", "-f", "--skip-seed", "--skip-generate"},
    ),
    "db execute": ({"--schema", "--config", "--url", "--file"}, {"--stdin"}),
    "generate": ({"--schema", "--config"}, {"--no-hints"}),
}


def main(arguments: list[str]) -> int:
    """Run a command; returns 0, or 1 with the reason on standard error."""
    if arguments[:1] in (["--version"], ["-v"], ["version"]):
        sys.stdout.write("prisma                  : 6.19.3\n@prisma/client          : 6.19.3\n")
        return 0
    words = 1 if arguments[:1] == ["generate"] else 2
    command = " ".join(arguments[:words])
    if command not in _OPTIONS:
        unknown = arguments[1] if arguments[:1] in (["migrate"], ["db"]) and arguments[1:] else command
        sys.stderr.write(f'\n! Unknown command "{unknown}"\n')
        return 1
    try:
        options = _parse(command, arguments[words:])
        return _run(command, options)
    except PrismaError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parse(command: str, rest: list[str]) -> dict[str, str]:
    """The options by name; an option without a value is `""`."""
    valued, plain = _OPTIONS[command]
    options: dict[str, str] = {}
    rest = list(rest)
    while rest:
        name, is_joined, value = rest.pop(0).partition("=")
        if name in valued:
            options[name] = value if is_joined else (rest.pop(0) if rest else "")
        elif name in plain:
            options["--force" if name == "-f" else name] = ""
        else:
            raise PrismaError(f"\n! unknown or unexpected option: {name}")
    return options


def _run(command: str, options: dict[str, str]) -> int:
    control = controls.begin(f"prisma {command}")
    if command == "db execute":
        return _execute(options)
    schema = load(options.get("--schema"))
    if command == "generate":
        from sandbox.services.standins.prisma.generate import generate

        sys.stdout.write(f"Prisma schema loaded from {schema.path}\n")
        _obey(control.fail)
        generate(schema)
        return 0
    if command == "migrate reset" and "--force" not in options:
        raise PrismaError(
            "Error: Prisma Migrate has detected that the environment is non-interactive. It is "
            "recommended to run this command in an interactive environment.\n\nUse --force to run "
            "this command without user interaction.\n"
            "See https://www.prisma.io/docs/reference/api-reference/command-reference#migrate-reset"
        )
    return _migrate(command, schema, options, control)


def _migrate(command: str, schema: Schema, options: dict[str, str], control: Control) -> int:
    import psycopg2

    from sandbox.services.standins.prisma import failures, migrate

    try:
        if command == "migrate deploy":
            return migrate.deploy(schema, control)
        if command == "migrate status":
            return migrate.status(schema)
        return migrate.reset(
            schema,
            control,
            seed="--skip-seed" not in options,
            client="--skip-generate" not in options,
        )
    except psycopg2.Error as error:
        raise failures.from_statement(error) from error


def _execute(options: dict[str, str]) -> int:
    """`db execute`: runs a script as one simple query, and so in one transaction."""
    if "--stdin" not in options and "--file" not in options:
        raise PrismaError("Error: Either --stdin or --file must be provided.\nSee `prisma db execute -h`")
    if "--url" not in options and "--schema" not in options:
        raise PrismaError("Error: Either --url or --schema must be provided.\nSee `prisma db execute -h`")
    url = options.get("--url")
    source = Datasource.parse(url) if url else load(options["--schema"]).datasource()
    file = options.get("--file")
    script = Path(file).read_bytes() if file else sys.stdin.buffer.read()
    import psycopg2

    from sandbox.services.standins.prisma import failures, ledger

    with ledger.connect(source) as session:
        try:
            session.execute(script)
        except psycopg2.Error as error:
            raise failures.from_statement(error) from error
    sys.stdout.write("Script executed successfully.\n")
    return 0


def _obey(fail: str | None) -> None:
    if fail:
        raise PrismaError(f"Error: {fail}")
