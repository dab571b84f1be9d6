"""The backend's user name and password: from the environment, or a file only its owner reads."""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from model.errors import ConfigurationError

USER_VARIABLE: Final = "MASK_ENGINE_BACKEND_USER"
PASSWORD_VARIABLE: Final = "MASK_ENGINE_BACKEND_PASSWORD"  # the variable's name, no password
DEFAULT_USER: Final = "mask-engine"
BELL_USER: Final = "bell"


@dataclass(frozen=True)
class Credentials:
    """A user name and a password; the password is in no representation.

    Attributes:
        origin: where they come from, for people.
    """

    user: str
    password: str = field(repr=False)
    origin: str = ""

    @property
    def of_the_bell(self) -> Credentials:
        """What opens `/webhook` and nothing else: a server shows it to all who may set it up."""
        key = hmac.new(self.password.encode(), b"webhook", "sha256").hexdigest()
        return Credentials(BELL_USER, key, self.origin)

    @property
    def header(self) -> str:
        """The `Authorization` header of basic auth."""
        pair = base64.b64encode(f"{self.user}:{self.password}".encode())
        return f"Basic {pair.decode()}"


def is_of_the_bell(header: str) -> bool:
    """Whether an `Authorization` header is the bell's of some backend of ours, of any password."""
    try:
        return base64.b64decode(header.removeprefix("Basic ")).startswith(f"{BELL_USER}:".encode())
    except ValueError:
        return False


def default_credentials_file() -> Path:
    """`backend.json` in the user's configuration folder."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "mask-engine" / "backend.json"


def load_credentials(file: Path | None = None) -> Credentials:
    """The credentials from the environment, else from a file, which is made if it is not there.

    Raises:
        ConfigurationError: if only one of the variables is set, the file can be read by others,
            or it holds something else.
    """
    user, password = os.environ.get(USER_VARIABLE), os.environ.get(PASSWORD_VARIABLE)
    if user and password:
        if ":" in user:
            raise ConfigurationError(f"{USER_VARIABLE}: a user name cannot hold a colon")
        return Credentials(user, password, origin="the environment")
    if user or password:
        missing = PASSWORD_VARIABLE if user else USER_VARIABLE
        raise ConfigurationError(f"{missing} is not set: set both variables, or none")
    path = file or default_credentials_file()
    return _read(path) if path.exists() else _make(path)


def _make(path: Path) -> Credentials:
    made = Credentials(DEFAULT_USER, secrets.token_urlsafe(24), origin=str(path))
    text = json.dumps({"user": made.user, "password": made.password}) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the backend's credentials cannot be kept there ({error.strerror}). Give "
            f"another file with --credentials, or set {USER_VARIABLE} and {PASSWORD_VARIABLE}."
        ) from None
    return made


def _read(path: Path) -> Credentials:
    try:
        with path.open() as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            text = stream.read(10_000)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from None
    if mode & 0o077:
        raise ConfigurationError(
            f"{path}: others on this machine may read these credentials (mode {mode:04o}): run "
            f"`chmod 600 {path}`, or remove the file and a new one is made"
        )
    try:
        fields = json.loads(text)
        found = Credentials(str(fields["user"]), str(fields["password"]), origin=str(path))
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f'{path}: expected {{"user": ..., "password": ...}}; remove it and a new one is made'
        ) from None
    if not found.user or not found.password or ":" in found.user:
        raise ConfigurationError(f"{path}: an empty user name or password, or a colon in the name")
    return found
