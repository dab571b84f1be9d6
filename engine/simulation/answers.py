"""Two places where a simulated annotator's masks come from: the model here, or a click backend.

Both see the same conversations and give the same masks; a test holds them to it.
"""

from __future__ import annotations

import base64
import http.client
import json
import urllib.parse
import uuid
from typing import Any, Final, Self

import numpy as np

from engine.backend.conversation import Conversation, Interlocutor, mask_of
from engine.backend.credentials import Credentials
from engine.backend.labels import IMAGE_ID_KEY, IMAGE_KEY
from engine.backend.prompts import regions_of
from engine.label_studio.brush import decode_brush
from engine.simulation.annotator import Shown
from model.errors import ConfigurationError, RecordError
from model.segmenter import Embedding, PromptableSegmenter
from stages.photos import Photo
from stages.records import ImageRef

_TIMEOUT_SECONDS: Final = 120.0


class DirectAnswers:
    """The model itself, asked as the backend asks it."""

    def __init__(self, segmenter: PromptableSegmenter) -> None:
        self._segmenter = segmenter
        self._interlocutor = Interlocutor(segmenter)
        self._embedding: Embedding | None = None

    @property
    def model_id(self) -> str:
        """The model that answers."""
        return self._segmenter.model_id

    def look_at(self, _ref: ImageRef, photo: Photo) -> None:
        """Takes a photo into view."""
        self._embedding = self._segmenter.embed(photo.pixels_HWC)

    def show(self, conversation: Conversation) -> Shown:
        """The model's answer."""
        if self._embedding is None:
            raise RuntimeError("no photo is in view: call `look_at` before `show`")
        answer = self._interlocutor.answer(self._embedding, conversation)
        return Shown(mask_of(answer, self._embedding), answer.predicted_iou)


class BackendAnswers:
    """A click backend, asked over HTTP as Label Studio asks it.

    Args:
        address: of the service, `http://host:port`.
        credentials: that it wants.

    Raises:
        ConfigurationError: if nothing answers there, or it refuses the credentials.
    """

    def __init__(self, address: str, credentials: Credentials) -> None:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{address}: expected http://host:port of a click backend")
        connect = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._address = address
        self._connection = connect(parts.hostname, parts.port, timeout=_TIMEOUT_SECONDS)
        token = f"{credentials.user}:{credentials.password}".encode()
        self._headers = {
            "Authorization": f"Basic {base64.b64encode(token).decode()}",
            "Content-Type": "application/json",
        }
        self._task: dict[str, Any] = {}
        self._size_hw = (0, 0)
        try:
            self._model_id = self._health()
        except ConfigurationError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    @property
    def model_id(self) -> str:
        """The model that answers."""
        return self._model_id

    def look_at(self, ref: ImageRef, photo: Photo) -> None:
        """Opens a task of its own for a photo."""
        data = {IMAGE_ID_KEY: ref.image_id, IMAGE_KEY: ref.path}
        self._task = {"id": f"simulated-{uuid.uuid4().hex}", "data": data}
        self._size_hw = (photo.height, photo.width)
        self._predict(None)

    def show(self, conversation: Conversation) -> Shown:
        """The service's answer."""
        prompts = regions_of(conversation, self._size_hw)
        # As on the page, a prompt keeps its id while more of them follow.
        x, y = conversation.prompt.points_xy[0]
        for number, prompt in enumerate(prompts):
            prompt["id"] = f"{x:g}-{y:g}-{number}"
        regions = self._predict({"result": prompts})["results"][0]["result"]
        if not regions:
            return Shown(np.zeros(self._size_hw, np.bool_), None)
        return Shown(decode_brush(regions[0]["value"]["rle"], self._size_hw), regions[0]["score"])

    def _health(self) -> str:
        try:
            status, answer = self._request("GET", "/health", None)
        except (OSError, http.client.HTTPException) as error:
            raise ConfigurationError(
                f"{self._address}: no click backend answers there ({type(error).__name__}); start "
                "one with `mask-engine serve`"
            ) from None
        if status == http.client.UNAUTHORIZED:
            raise ConfigurationError(f"{self._address}: refuses these credentials")
        if status != http.client.OK or "model_version" not in answer:
            raise ConfigurationError(f"{self._address}: is no click backend (answers {status})")
        return str(answer["model_version"])

    def _predict(self, context: dict[str, Any] | None) -> dict[str, Any]:
        body = {"tasks": [self._task], "project": "simulated", "params": {"context": context}}
        try:
            status, answer = self._request("POST", "/predict", json.dumps(body).encode())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            message = f"{self._address}: {type(error).__name__}"
            raise RecordError("network", message, passing=True) from None
        if status != http.client.OK:
            passing = status >= http.client.INTERNAL_SERVER_ERROR
            raise RecordError("refused", str(answer.get("error", status)), passing=passing)
        return answer

    def _request(self, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        content = response.read()
        try:
            answer = json.loads(content)
        except ValueError:
            answer = {}
        return response.status, answer if isinstance(answer, dict) else {}
