"""`resetd watch` with a server that answers like the daemon."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATES = {3: "seeding", 4: "failed", 5: "queued", 6: "done"}
READ = [3, 5, 6]
"""Sequence of the reset at each reading. Somebody resumes it as soon as it has failed."""


@contextmanager
def daemon() -> Iterator[str]:
    """Serve a daemon whose reset fails, is resumed at once, and is done. Yields its address."""
    left = iter(READ)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            events = self.path.endswith("/events")
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if events else "application/json")
            self.end_headers()
            if not events:
                self.wfile.write(json.dumps(reset(next(left))).encode())
                return
            for sequence, state in STATES.items():
                kind = f"com.fuse.environment.reset.{state}.v1"
                entry = {"sequence": sequence, "at": "now", "type": kind, "data": {"state": state}}
                self.wfile.write(f"data: {json.dumps(entry)}\n\n".encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def reset(sequence: int) -> dict[str, object]:
    nothing = dict.fromkeys(("cause", "detail", "hint", "waitingFor", "approvals"))
    known = {"id": "1", "reference": "qa-sandbox/1", "unreadActs": 0, "destroyed": True, "steps": []}
    return {**nothing, **known, "sequence": sequence, "state": STATES[sequence]}


def test_one_that_is_resumed_as_soon_as_it_failed_is_watched_on_and_not_called_done_before_it_is() -> None:
    with daemon() as url:
        ended = subprocess.run(
            [sys.executable, "-m", "daemon", "--url", url, "watch", "qa-sandbox/1"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert ended.stderr == "qa-sandbox/1 is done\n"
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "now  done")
