"""The page of metrics has each metric that the daemon exposes, under the name that a query uses."""

from __future__ import annotations

import re

from daemon.metrics import Metrics
from docs.generate import metrics


def rows() -> dict[str, list[str]]:
    page = metrics.documents()[metrics.PATH]
    cells = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return {name.strip("`"): rest for name, *rest in cells}


def test_the_page_in_the_repository_is_what_the_registry_says() -> None:
    for path, text in metrics.documents().items():
        assert (metrics.ROOT / path).read_text(encoding="utf-8") == text


def test_every_metric_that_is_exposed_has_a_row_and_no_other_has() -> None:
    exposed = re.findall(r"^# TYPE (\w+) (\w+)$", Metrics().exposition().decode(), re.MULTILINE)
    assert {(name, kind) for name, (kind, *_) in rows().items()} == {
        (name, kind) for name, kind in exposed if not name.endswith("_created")
    }


def test_labels_are_those_that_a_scrape_shows() -> None:
    daemon = Metrics()
    daemon.resets.labels("planning").set(1)
    daemon.intake.labels("accepted").inc()
    scrape = daemon.exposition().decode()
    for name, (kind, labels, _) in rows().items():
        sample = f"{name}_bucket" if kind == "histogram" else name
        shown = re.search(rf"^{sample}(?:\{{(.*?)\}})? ", scrape, re.MULTILINE)
        assert shown is not None
        found = [label for label in re.findall(r'(\w+)="', shown[1] or "") if label != "le"]
        assert [label.strip("`") for label in labels.split(", ") if label != "-"] == found
