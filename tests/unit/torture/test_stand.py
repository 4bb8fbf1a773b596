"""The stand starts again whatever is dead, and tells what died by itself from what was killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from sandbox.daemon_process import DaemonProcess
from sandbox.platform.platform import Platform
from tests.torture.stand.stand import Stand

_BY_ITSELF = "raise TypeError('nobody expected this')"
_KILLED = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
_ANSWERS = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(int(self.path.rpartition("/")[2]))
        self.end_headers()
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["RESETD_API_PORT"])), Handler).serve_forever()
"""
_NO_STATE = "import sys; sys.exit('daemon.ports.errors.TemporaryError: no database answers')"


def _stand(directory: Path, program: str) -> Stand:
    """With one daemon that runs this program, started, and ended by now."""
    platform = cast("Platform", SimpleNamespace(bootstrap="127.0.0.1:1"))
    daemon = DaemonProcess(directory, {"PATH": os.environ["PATH"]}, module=("-c", program))
    stand = Stand(platform, [daemon], {"requests": "requests", "environments": "environments"})
    daemon.start()
    daemon.wait_ended(within=30.0)
    return stand


def test_a_daemon_that_dies_of_its_own_error_is_a_crash_and_no_kill(tmp_path: Path) -> None:
    stand = _stand(tmp_path, _BY_ITSELF)
    stand.look()
    assert stand.counts.kills == 0
    (crash,) = stand.crashes
    assert "exit code 1" in crash
    assert "TypeError: nobody expected this" in crash
    stand.daemons[0].wait_ended(within=30.0)
    stand.kill(0, stay_down=True)
    assert stand.crashes == [crash, crash]


def test_a_daemon_that_ends_without_an_error_though_nobody_told_it_to_is_a_crash(tmp_path: Path) -> None:
    stand = _stand(tmp_path, "pass")
    stand.kill(0, stay_down=True)
    assert ["exit code 0" in one for one in stand.crashes] == [True]


def test_a_daemon_that_was_killed_at_a_commit_is_a_kill_and_no_crash(tmp_path: Path) -> None:
    stand = _stand(tmp_path, _KILLED)
    stand.look()
    stand.daemons[0].wait_ended(within=30.0)
    assert (stand.counts.kills, stand.crashes) == (1, [])


def test_a_daemon_may_end_where_its_start_meets_no_state_database_but_not_once_it_serves(
    tmp_path: Path,
) -> None:
    stand = _stand(tmp_path / "start", _NO_STATE)
    stand.kill(0, stay_down=True)
    assert stand.crashes == []
    served = _stand(
        tmp_path / "served", f"""print('{{"event": "daemon.started"}}', flush=True); {_NO_STATE}"""
    )
    served.kill(0, stay_down=True)
    assert len(served.crashes) == 1


def test_an_error_of_the_api_is_a_crash_and_its_refusals_are_counted(tmp_path: Path) -> None:
    platform = cast("Platform", SimpleNamespace(bootstrap="127.0.0.1:1"))
    daemon = DaemonProcess(tmp_path, {"PATH": os.environ["PATH"]}, module=("-c", _ANSWERS))
    stand = Stand(platform, [daemon], {"requests": "requests", "environments": "environments"})
    (tmp_path / "operator-token").write_text("token")
    daemon.start()
    try:
        daemon.wait_ready(within=30.0)
        for status in (202, 409, 409, 503, 500):
            assert stand.post(f"/{status}", {}).status_code == status
    finally:
        daemon.kill()
    assert ["answered 500 to POST /500" in one for one in stand.crashes] == [True]
    assert stand.counts.answers == {409: 2, 503: 1, 500: 1}
