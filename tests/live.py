"""The demo host as a process of its own, for tests that need a real server: browsers, kills, restarts."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

from enrollment_addon.demo import create_app as demo_app

CONFIG = "ENROLLMENT_TEST_CONFIG"
POLICY = "default-src 'self'; script-src 'self' 'nonce-n0nce'; style-src 'self'; img-src 'self' data:"


def create_app() -> Flask:
    """What the server process serves: the demo host, configured by the test that started it.

    Every page of ours comes with a strict policy that the browser reports on; files it keeps.
    """
    app = demo_app({"SEND_FILE_MAX_AGE_DEFAULT": 3600, **json.loads(os.environ[CONFIG])})

    @app.after_request
    def strict(answer: Response) -> Response:
        if request.path.startswith("/enrollment/"):
            answer.headers["Content-Security-Policy-Report-Only"] = POLICY
        return answer

    return app


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A waitress process on loopback; its worker thread runs the jobs."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (folder / "server.log").open("ab")
        self._env = {
            **os.environ,
            CONFIG: json.dumps({"FAB_UPDATE_PERMS": False, **config}),
            "ENROLLMENT_DEMO_FOLDER": str(folder),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "waitress", "--listen", f"127.0.0.1:{self.port}", "--threads", "8",
             "--call", "tests.live:create_app"],
            env=self._env, stdout=self._log, stderr=self._log, cwd=Path(__file__).parents[1],
        )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert self.process.poll() is None, "the server process lives"
            try:
                with urllib.request.urlopen(f"{self.url}/api/v1/enrollment/health", timeout=5) as answer:
                    assert json.load(answer)["ready"]
                    return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server did not become ready")

    def kill(self) -> None:
        """As `kill -9` does: no chance to clean up."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(15)
        self._log.close()
