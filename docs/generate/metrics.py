"""The daemon's metrics, out of its registry: `docs/reference/metrics.md`."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from daemon.metrics import Metrics
from docs.generate.tested import table

ROOT = Path(__file__).resolve().parents[2]
PATH = "docs/reference/metrics.md"
_HEADING = """\
# Metrics

Generated from `daemon/metrics.py` by `make docs`. `GET /metrics` answers all of them in the text format of Prometheus.
The names are those of a query; a histogram has `_bucket`, `_sum` and `_count`. Each label has a closed list of values.
"""


def documents() -> dict[str, str]:
    """Path in the repository -> text."""
    metrics = [metric for metric in vars(Metrics()).values() if isinstance(metric, MetricWrapperBase)]
    rows = [row for metric in metrics for row in _rows(metric)]
    return {PATH: _HEADING + table(("metric", "type", "labels", "meaning"), rows)}


def _rows(metric: MetricWrapperBase) -> list[tuple[str, ...]]:
    labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "-"  # noqa: SLF001 - it has no public name
    return [
        (
            f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
            family.type,
            labels,
            family.documentation,
        )
        for family in metric.describe()
    ]
