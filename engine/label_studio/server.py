"""The life of a local Label Studio: started on loopback only, asked how it is, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from engine.label_studio.errors import ServerUnavailableError
from engine.label_studio.home import Credentials, Home, Running
from model.errors import ConfigurationError

HOST: Final = "127.0.0.1"
PORT: Final = 8080
# The first start makes the database; on a busy machine that takes minutes.
START_SECONDS: Final = 600.0
STOP_SECONDS: Final = 20.0
_SECONDS_BETWEEN_LOOKS: Final = 0.5


@dataclass(frozen=True)
class ServerState:
    """How the local server is: `up`, `starting`, `down`, and where."""

    state: str
    url: str | None = None
    pid: int | None = None


def state_of(home: Home) -> ServerState:
    """How the server of a folder is now."""
    running = home.running()
    if running is None or not _is_alive(running):
        return ServerState("down")
    return ServerState("up" if _is_healthy(running.url) else "starting", running.url, running.pid)


def start(
    home: Home,
    program: Path,
    *,
    port: int = PORT,
    waiting: Callable[[float], None] = lambda seconds: None,
    start_seconds: float = START_SECONDS,
) -> Running:
    """Starts the server and waits until it answers; one that runs already is left alone.

    Args:
        home: its folder.
        program: Label Studio's own.
        port: on loopback.
        waiting: told the seconds waited so far.
        start_seconds: how long it may take.

    Raises:
        ConfigurationError: if the port is taken.
        ServerUnavailableError: if it ends or does not answer in time.
    """
    running = home.running()
    if running is None or not _is_alive(running):
        _refuse_taken_port(port)
        home.make()
        running = _spawn(home, program, port, home.ensure_credentials())
        home.set_running(running)
    _wait(home, running, waiting, start_seconds)
    return running


def stop(home: Home) -> bool:
    """Stops the server; returns whether one was running.

    Raises:
        ServerUnavailableError: if it does not end.
    """
    running = home.running()
    if running is None or not _is_alive(running):
        home.set_running(None)
        return False
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, sign)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if not _is_alive(running):
                home.set_running(None)
                return True
            time.sleep(0.1)
    raise ServerUnavailableError(f"process {running.pid} of the local Label Studio does not end")


def server_environment(home: Home, credentials: Credentials, port: int) -> dict[str, str]:
    """The settings of a server for this machine only: no calls home, and loopback back ends."""
    own = {
        "BASE_DATA_DIR": str(home.data),
        "HOST": f"http://{HOST}:{port}",
        "USERNAME": credentials.email,
        "PASSWORD": credentials.password,
        "USER_TOKEN": credentials.token,
        "ENABLE_LEGACY_API_TOKEN": "true",
        "LOCAL_FILES_SERVING_ENABLED": "true",
        "LOCAL_FILES_DOCUMENT_ROOT": str(home.photos),
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        # Without these two a click backend on this very machine is refused.
        "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false",
    }
    return os.environ | {f"LABEL_STUDIO_{name}": value for name, value in own.items()}


def _spawn(home: Home, program: Path, port: int, credentials: Credentials) -> Running:
    # Credentials go by the environment: a command line can be read by everybody on the machine.
    command = [str(program), "start", "--no-browser", "--internal-host", HOST, "-p", str(port)]
    with home.log.open("ab") as log:
        process = subprocess.Popen(
            command,
            env=server_environment(home, credentials, port),
            cwd=home.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o077,
        )
    process.returncode = 0  # it outlives this process, so no warning that nobody waits for it
    return Running(process.pid, _born(process.pid), f"http://{HOST}:{port}")


def _wait(
    home: Home, running: Running, waiting: Callable[[float], None], start_seconds: float
) -> None:
    begun = time.monotonic()
    while not _is_healthy(running.url):
        waited = time.monotonic() - begun
        waiting(waited)
        if not _is_alive(running):
            home.set_running(None)
            raise ServerUnavailableError(
                f"Label Studio ended before it answered; {home.log} says why ({_last_line(home)})"
            )
        if waited > start_seconds:
            raise ServerUnavailableError(
                f"Label Studio did not answer within {start_seconds:.0f} s; it may still come up: "
                f"look at {home.log}, and run the same command again"
            )
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _refuse_taken_port(port: int) -> None:
    """Label Studio itself would silently take the next port."""
    with socket.socket() as probe:
        # What a server left a moment ago may be taken again; what one holds may not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} of {HOST} is taken ({error.strerror}): stop what uses it, or give "
                "another --port"
            ) from None


def _is_healthy(url: str) -> bool:
    try:
        # `trust_env`: a proxy has no business between a machine and itself.
        answer = httpx.get(f"{url}/health", timeout=10.0, trust_env=False)
        return answer.status_code == httpx.codes.OK and answer.json().get("status") == "UP"
    except (httpx.HTTPError, ValueError, AttributeError):
        return False


def _is_alive(running: Running) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(running.pid, os.WNOHANG)  # a child that has ended is not alive
    try:
        os.kill(running.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    born = _born(running.pid)
    return running.born is None or born is None or born == running.born


def _born(pid: int) -> str | None:
    """When a process began, in the kernel's words: an id alone may be another's by now."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


def _last_line(home: Home) -> str:
    with contextlib.suppress(OSError):
        lines = home.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it is empty"
    return "it cannot be read"
