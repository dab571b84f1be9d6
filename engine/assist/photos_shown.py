"""How the server shows the photos: through a folder it can read, their own addresses, or S3."""

from __future__ import annotations

import os
import posixpath
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.assist.settings import AssistRun
from engine.label_studio.client import LabelStudio
from engine.label_studio.home import Home
from model.errors import ConfigurationError
from pipelines.sources import source_address
from stages.records import ImageRef

LOCAL_FILES: Final = "/data/local-files/?d="
_TOO_WIDE: Final = frozenset({"/", os.path.expanduser("~")})
AddressOf = Callable[[ImageRef], str]


@dataclass(frozen=True)
class Shown:
    """A way to show photos.

    Attributes:
        address_of: what stands in a photo's task.
        storages: the server's storages that the project needs: kind, and its settings.
    """

    address_of: AddressOf
    storages: Sequence[tuple[str, dict[str, Any]]] = ()


def shown(settings: AssistRun, refs: Sequence[ImageRef], home: Home | None) -> Shown:
    """How the server will show these photos.

    Args:
        settings: the run's.
        refs: the photos.
        home: of the local server, or None where another one is used.

    Raises:
        ConfigurationError: if the photos cannot be shown in the way that was asked for.
    """
    if settings.server.photos == "s3":
        return _from_s3(settings, refs)
    if settings.server.photos == "addresses":
        _refuse(refs, ("http://", "https://"), "addresses")
        return Shown(lambda ref: ref.uri)
    return _shared(settings, refs, home)


def add_storages(studio: LabelStudio, project: int, way: Shown) -> None:
    """Gives the project the storages it needs; keys of those that are there are renewed."""
    for kind, wanted in way.storages:
        there = studio.get(f"/api/storages/{kind}", {"project": project})
        place = "bucket" if kind == "s3" else "path"
        own = next((storage for storage in there if storage.get(place) == wanted[place]), None)
        if own is None:
            studio.post(f"/api/storages/{kind}", {"project": project, **wanted})
        elif kind == "s3":
            # A key of one's own has no session; that of the key before must not stay.
            session = {"aws_session_token": wanted.get("aws_session_token")}
            studio.patch(f"/api/storages/{kind}/{own['id']}", wanted | session)


def _shared(settings: AssistRun, refs: Sequence[ImageRef], home: Home | None) -> Shown:
    remote = [ref.uri for ref in refs if "://" in ref.uri]
    if remote:
        raise ConfigurationError(
            f"{remote[0]} is no file of this machine, so no folder can be shared that holds it. "
            "Set server.photos to s3 or addresses."
        )
    base = _folder_of(settings.source, refs)
    if base in _TOO_WIDE:
        raise ConfigurationError(
            f"the photos have no folder in common but {base}, and whoever may log in to Label "
            "Studio could read all of it. Put them, or links to them, below one folder."
        )
    if home is not None:
        base = _narrower(home.shared(refs[0].source), refs) or base
        link = home.share(base, refs[0].source)
        root, folder = str(home.photos), str(link)
    else:
        root, folder = _told(settings)

    def address_of(ref: ImageRef) -> str:
        inside = posixpath.join(folder, os.path.relpath(ref.uri, base))
        return LOCAL_FILES + urllib.parse.quote(os.path.relpath(inside, root))

    # One storage for the whole tree: the server looks whether a file's folder begins with it.
    return Shown(address_of, [("localfiles", {"path": folder, "title": refs[0].source})])


def _folder_of(source: str, refs: Sequence[ImageRef]) -> str:
    """The source itself where it is a folder: photos that are sent later lie in it as well."""
    folder = source_address(source)
    if os.path.isdir(folder) and folder not in _TOO_WIDE:
        return folder
    return os.path.commonpath([os.path.dirname(ref.uri) for ref in refs])


def _narrower(shared: str | None, refs: Sequence[ImageRef]) -> str | None:
    """The folder that is shared already, while it holds all of these photos."""
    if shared is None:
        return None
    inside = os.path.join(shared, "")
    return shared if all(ref.uri.startswith(inside) for ref in refs) else None


def _told(settings: AssistRun) -> tuple[str, str]:
    server = settings.server
    if server.photos_root is None or server.document_root is None:
        raise ConfigurationError(
            f"{server.url} is not the local Label Studio, so nobody here knows where it sees the "
            "photos. Set server.document_root (its LOCAL_FILES_DOCUMENT_ROOT) and "
            "server.photos_root (the folder of the photos as it sees it), or server.photos to s3 "
            "or addresses."
        )
    if posixpath.dirname(server.photos_root.rstrip("/")) == server.photos_root.rstrip("/"):
        raise ConfigurationError("server.photos_root cannot be the file system's root")
    return server.document_root, server.photos_root.rstrip("/")


def _from_s3(settings: AssistRun, refs: Sequence[ImageRef]) -> Shown:
    _refuse(refs, ("s3://",), "s3")
    key, secret = (os.environ.get(n) for n in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    if not key or not secret:
        raise ConfigurationError(
            "the server signs the photos' addresses, so it needs a key that may read the bucket: "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (a key for reading is enough)"
        )
    options = {
        "presign": True,
        "presign_ttl": 60,
        "use_blob_urls": True,
        "regex_filter": ".*",
        "aws_access_key_id": key,
        "aws_secret_access_key": secret,
        "aws_session_token": os.environ.get("AWS_SESSION_TOKEN"),
        "region_name": settings.server.s3_region,
        "s3_endpoint": settings.server.s3_endpoint,
    }
    given = {name: value for name, value in options.items() if value is not None}
    buckets = sorted({urllib.parse.urlsplit(ref.uri).netloc for ref in refs})
    storages = [("s3", {"bucket": bucket, "title": bucket, **given}) for bucket in buckets]
    return Shown(lambda ref: ref.uri, storages)


def _refuse(refs: Sequence[ImageRef], schemes: tuple[str, ...], name: str) -> None:
    other = next((ref.uri for ref in refs if not ref.uri.startswith(schemes)), None)
    if other is not None:
        raise ConfigurationError(
            f"{other}: server.photos is {name}, but this photo's address does not begin with "
            f"{' or '.join(schemes)}"
        )
