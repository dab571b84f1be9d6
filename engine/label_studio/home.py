"""The folder of the local server: its data, its credentials, and the photos it may show."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from model.errors import ConfigurationError

HOME_VARIABLE: Final = "MASK_ENGINE_LABEL_STUDIO_HOME"
DEFAULT_HOME: Final = Path("~/.local/share/mask-engine/label-studio")
EMAIL: Final = "me@localhost.local"


@dataclass(frozen=True)
class Credentials:
    """What opens the local server; the token is a legacy one of 40 hex digits."""

    email: str
    password: str
    token: str


@dataclass(frozen=True)
class Running:
    """The process that was started last.

    Attributes:
        pid: its id.
        born: what tells it from a later process with the same id, or None if unknown.
        url: where it answers.
    """

    pid: int
    born: str | None
    url: str


@dataclass(frozen=True)
class Home:
    """The folder of one local server."""

    folder: Path

    @classmethod
    def of(cls, folder: str | None = None) -> Home:
        """The folder given, or of the environment, or the user's own."""
        given = folder or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME
        return cls(Path(given).expanduser().absolute())

    @property
    def data(self) -> Path:
        """Database and uploads; belongs to the server."""
        return self.folder / "data"

    @property
    def photos(self) -> Path:
        """The server's document root: nothing but links to folders that were sent."""
        return self.folder / "photos"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    def make(self) -> None:
        """Makes the folders; only the owner may look into them."""
        for folder in (self.folder, self.data, self.photos):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def credentials(self) -> Credentials | None:
        """What was made on the first start, or None before it.

        Raises:
            ConfigurationError: if the file is broken.
        """
        path = self.folder / "credentials.json"
        try:
            return Credentials(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"{path}: cannot be used ({error}). It holds the password that the server was set "
                "up with: bring it back, or remove the folder to begin with an empty server."
            ) from None

    def ensure_credentials(self) -> Credentials:
        """The credentials; made now if this is the first start."""
        known = self.credentials()
        if known is not None:
            return known
        made = Credentials(EMAIL, secrets.token_urlsafe(12), secrets.token_hex(20))
        self._write_private("credentials.json", json.dumps(asdict(made), indent=2))
        return made

    def running(self) -> Running | None:
        """The process that was started last, whether or not it still runs."""
        try:
            return Running(**json.loads((self.folder / "server.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def set_running(self, running: Running | None) -> None:
        """Remembers the process, or that there is none."""
        if running is None:
            (self.folder / "server.json").unlink(missing_ok=True)
        else:
            self._write_private("server.json", json.dumps(asdict(running)))

    def shared(self, name: str) -> str | None:
        """The folder that stands under a name, with links followed; None if there is none."""
        link = self.photos / name
        return os.path.realpath(link) if link.is_symlink() else None

    def share(self, folder: str, name: str) -> Path:
        """Lets the server show a folder of photos, under a name; returns where it sees it.

        Raises:
            ConfigurationError: if the name stands for another folder.
        """
        link = self.photos / name
        target = os.path.realpath(folder)
        if link.is_symlink() and os.path.realpath(link) == target:
            return link
        if link.is_symlink() or link.exists():
            raise ConfigurationError(
                f"{name!r} already stands for {os.path.realpath(link)} on the local Label Studio, "
                f"not for {target}. Give another source_name, or remove {link} if that folder has "
                "moved."
            )
        link.symlink_to(target, target_is_directory=True)
        return link

    def _write_private(self, name: str, text: str) -> None:
        """Writes a file whole that nobody else may read, from its first byte on."""
        temporary = self.folder / f".{name}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, self.folder / name)
