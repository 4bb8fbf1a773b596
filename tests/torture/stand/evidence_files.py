"""Keeps the evidence of a round with findings as files, for people who want to know why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tests.torture.judge.evidence import Evidence
from tests.torture.judge.judge import Verdict
from tests.torture.script.script import Script
from tests.torture.stand.stand import Stand


def keep(directory: Path, stand: Stand, script: Script, evidence: Evidence, verdict: Verdict) -> Path:
    """Write script, findings, evidence, journal, and the daemons' logs and state; returns their directory."""
    place = directory / f"round-{script.seed.replace(':', '-')}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "findings.txt").write_text(
        "".join(f"{finding.rule}: {finding.text}\n" for finding in verdict.findings)
    )
    (place / "script.json").write_text(json.dumps(asdict(script), indent=1, default=str))
    (place / "evidence.json").write_text(json.dumps(asdict(evidence), indent=1, default=_text))
    shutil.copy(stand.platform.witness.file, place / "journal.jsonl")
    shutil.copytree(stand.daemons[0].directory.parent, place / "daemons", dirs_exist_ok=True)
    return place


def _text(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
