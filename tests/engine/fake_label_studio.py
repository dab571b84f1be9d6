"""A Label Studio in memory, behind httpx's own transport: its answers, and its bad days.

It knows the addresses that the project uses and answers as the real one was seen to answer;
`tests/engine/assist/test_real_server.py` holds the same commands to a real one.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from engine.label_studio.client import LabelStudio

Json = dict[str, Any]
URL = "http://studio.test"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
PERSONAL_TOKEN = "head.body.signature"


class FakeLabelStudio:
    """One organisation with one user.

    Attributes:
        projects, all_tasks: as the server holds them, by id.
        files: the folder that it shows below `/data/local-files`, its document root.
        drafts: what was begun and not submitted, by task.
        requests: what was asked, `"POST /api/projects"`.
        before: called with each request; may raise an httpx error or return a response.
        after: as `before`, when the work is done and only the answer can be lost.
    """

    def __init__(self) -> None:
        self.projects: dict[int, Json] = {}
        self.all_tasks: dict[int, Json] = {}
        self.drafts: dict[int, list[Json]] = {}
        self.storages: list[Json] = []
        self.backends: list[Json] = []
        self.webhooks: dict[int, Json] = {}
        self.files: Path | None = None
        self.requests: list[str] = []
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
        self.after: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
        self.access_tokens: set[str] = set()
        self._ids = itertools.count(1)
        self._clock = itertools.count(1)

    def client(self, token: str = TOKEN) -> LabelStudio:
        transport = httpx.MockTransport(self.handle)
        return LabelStudio(URL, token, transport=transport, pause=lambda seconds: None)

    def annotate(
        self,
        task: int,
        result: list[Json],
        *,
        by: str = "ann@example.com",
        seconds: float = 10.0,
        skipped: bool = False,
        at: str = "2026-01-01T10:00:00Z",
    ) -> int:
        """What happens when somebody submits, or skips."""
        annotation = next(self._ids)
        found = self.all_tasks[task]
        found["annotations"].append(
            {
                "id": annotation,
                "result": result,
                "completed_by": {"id": 1, "email": by},
                "lead_time": seconds,
                "was_cancelled": skipped,
                "updated_at": at,
            }
        )
        self._touch(task)
        return annotation

    def change(self, task: int, result: list[Json], *, annotation: int = -1) -> None:
        """What happens when somebody updates their annotation."""
        self.all_tasks[task]["annotations"][annotation]["result"] = result
        self._touch(task)

    def task_of(self, path: str) -> int:
        return next(id_ for id_, t in self.all_tasks.items() if t["data"]["path"] == path)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        answer = self.before(request) or self._answer(request)
        return self.after(request) or answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.rstrip("/")
        if path == "/api/token/refresh":
            return self._refresh(request)
        if path == "/api/version":  # for everybody
            return httpx.Response(200, json={"release": "1.23.2"})
        known = {f"Token {TOKEN}"} | {f"Bearer {token}" for token in self.access_tokens}
        if request.headers.get("Authorization") not in known:
            return httpx.Response(401, json={"detail": "Invalid token."})
        for pattern, handler in self._routes():
            found = re.fullmatch(pattern, f"{request.method} {path}")
            if found:
                return handler(request, *(int(group) for group in found.groups()))
        return httpx.Response(404, json={"detail": "Not found."})

    def _routes(self) -> list[tuple[str, Callable[..., httpx.Response]]]:
        return [
            (
                r"GET /api/current-user/whoami",
                lambda r: httpx.Response(200, json={"id": 1, "email": "me@example.com"}),
            ),
            (r"GET /api/projects", self._list_projects),
            (r"POST /api/projects", self._make_project),
            (r"GET /api/projects/(\d+)", self._get_project),
            (r"PATCH /api/projects/(\d+)", self._patch_project),
            (r"POST /api/projects/(\d+)/import", self._import),
            (r"GET /api/tasks", self._list_tasks),
            (r"GET /api/tasks/(\d+)", self._get_task),
            (r"GET /api/tasks/(\d+)/drafts", self._list_drafts),
            (r"DELETE /api/tasks/(\d+)", self._delete_task),
            (r"POST /api/tasks/(\d+)/annotations", self._submit),
            (r"GET /api/storages/\w+", lambda r: httpx.Response(200, json=self.storages)),
            (r"POST /api/storages/\w+", self._make_storage),
            (r"PATCH /api/storages/s3/(\d+)", self._patch_storage),
            (r"GET /data/local-files", self._file),
            (r"GET /api/ml", lambda r: httpx.Response(200, json=self.backends)),
            (r"POST /api/ml", self._make_backend),
            (r"DELETE /api/ml/(\d+)", self._delete_backend),
            (r"PATCH /api/ml/(\d+)", self._patch_backend),
            (r"POST /api/ml/(\d+)/interactive-annotating", self._ask_backend),
            (
                r"GET /api/webhooks",
                lambda r: httpx.Response(200, json=list(self.webhooks.values())),
            ),
            (r"PATCH /api/webhooks/(\d+)", self._patch_webhook),
            (r"DELETE /api/webhooks/(\d+)", self._delete_webhook),
        ]

    def _refresh(self, request: httpx.Request) -> httpx.Response:
        if json.loads(request.content).get("refresh") != PERSONAL_TOKEN:
            return httpx.Response(401, json={"detail": "Token is invalid or expired"})
        token = f"access-{next(self._ids)}"
        self.access_tokens.add(token)
        return httpx.Response(200, json={"access": token})

    def _list_projects(self, request: httpx.Request) -> httpx.Response:
        return _page(request, list(self.projects.values()), "results", "count")

    def _make_project(self, request: httpx.Request) -> httpx.Response:
        content = json.loads(request.content)
        if not 3 <= len(content["title"]) <= 50:
            return httpx.Response(400, json={"validation_errors": {"title": ["length"]}})
        project = {"id": next(self._ids), **content}
        self.projects[project["id"]] = project
        return httpx.Response(201, json=project)

    def _get_project(self, request: httpx.Request, project: int) -> httpx.Response:
        return _found(self.projects.get(project))

    def _patch_project(self, request: httpx.Request, project: int) -> httpx.Response:
        self.projects[project].update(json.loads(request.content))
        return httpx.Response(200, json=self.projects[project])

    def _import(self, request: httpx.Request, project: int) -> httpx.Response:
        tasks = json.loads(request.content)
        for task in tasks:
            id_ = next(self._ids)
            self.all_tasks[id_] = {
                "id": id_,
                "project": project,
                "data": task["data"],
                "predictions": task.get("predictions", []),
                "annotations": [],
            }
            self._touch(id_)
        return httpx.Response(201, json={"task_count": len(tasks)})

    def _list_tasks(self, request: httpx.Request) -> httpx.Response:
        project = int(request.url.params["project"])
        if project not in self.projects:
            return httpx.Response(404, json={"detail": "No Project matches the given query."})
        tasks = [_listed(t) for t in self.all_tasks.values() if t["project"] == project]
        return _page(request, tasks, "tasks", "total")

    def _get_task(self, request: httpx.Request, task: int) -> httpx.Response:
        return _found(self.all_tasks.get(task))

    def _list_drafts(self, request: httpx.Request, task: int) -> httpx.Response:
        return httpx.Response(200, json=self.drafts.get(task, []))

    def _delete_task(self, request: httpx.Request, task: int) -> httpx.Response:
        return httpx.Response(204) if self.all_tasks.pop(task, None) else _found(None)

    def _submit(self, request: httpx.Request, task: int) -> httpx.Response:
        content = json.loads(request.content)
        made = self.annotate(task, content["result"], seconds=content["lead_time"])
        return httpx.Response(201, json={"id": made})

    def _make_storage(self, request: httpx.Request) -> httpx.Response:
        self.storages.append({"id": next(self._ids), **json.loads(request.content)})
        return httpx.Response(201, json=self.storages[-1])

    def _make_backend(self, request: httpx.Request) -> httpx.Response:
        self.backends.append({"id": next(self._ids), **json.loads(request.content)})
        # As the real server does: one that carries everything, and no way in.
        url = f"{self.backends[-1]['url']}/webhook"
        if url not in [hook["url"] for hook in self.webhooks.values()]:
            hook = next(self._ids)
            self.webhooks[hook] = {"id": hook, "url": url, "send_payload": True, "headers": {}}
        return httpx.Response(201, json=self.backends[-1])

    def _delete_backend(self, request: httpx.Request, backend: int) -> httpx.Response:
        self.backends = [known for known in self.backends if known["id"] != backend]
        return httpx.Response(204)

    def _patch_webhook(self, request: httpx.Request, hook: int) -> httpx.Response:
        self.webhooks[hook].update(json.loads(request.content))
        return httpx.Response(200, json=self.webhooks[hook])

    def _delete_webhook(self, request: httpx.Request, hook: int) -> httpx.Response:
        del self.webhooks[hook]
        return httpx.Response(204)

    def _patch_backend(self, request: httpx.Request, backend: int) -> httpx.Response:
        found = next(known for known in self.backends if known["id"] == backend)
        found.update(json.loads(request.content))
        return httpx.Response(200, json=found)

    def _patch_storage(self, request: httpx.Request, storage: int) -> httpx.Response:
        found = next(known for known in self.storages if known["id"] == storage)
        found.update(json.loads(request.content))
        return httpx.Response(200, json=found)

    def _file(self, request: httpx.Request) -> httpx.Response:
        file = self.files and self.files / request.url.params["d"]
        return httpx.Response(200, content=file.read_bytes()) if file else _found(None)

    def _ask_backend(self, request: httpx.Request, backend: int) -> httpx.Response:
        """Passes a click on to the backend's own port, as the real server does."""
        asked = json.loads(request.content)
        found = next(known for known in self.backends if known["id"] == backend)
        task = self.all_tasks[asked["task"]]
        content = {
            "tasks": [task],
            "project": f"{task['project']}.1",
            "label_config": self.projects[task["project"]]["label_config"],
            "params": {"context": asked["context"]},
        }
        auth = (found["basic_auth_user"], found["basic_auth_pass"])
        answer = httpx.post(f"{found['url']}/predict", json=content, auth=auth)
        if answer.is_error:
            words = f"{answer.status_code} Client Error: {answer.reason_phrase} for url"
            return httpx.Response(200, json={"errors": [words]})
        return httpx.Response(200, json={"data": answer.json()["results"][0]})

    def _touch(self, task: int) -> None:
        self.all_tasks[task]["updated_at"] = f"2026-01-01T00:00:{next(self._clock):09d}Z"


def _listed(task: Json) -> Json:
    """A task as it stands in a list: counts instead of annotations."""
    skipped = sum(annotation["was_cancelled"] for annotation in task["annotations"])
    slim = {key: task[key] for key in ("id", "data", "updated_at")}
    return slim | {
        "total_annotations": len(task["annotations"]) - skipped,
        "cancelled_annotations": skipped,
    }


def _found(item: Json | None) -> httpx.Response:
    if item is None:
        return httpx.Response(404, json={"detail": "Not found."})
    return httpx.Response(200, json=item)


def _page(request: httpx.Request, items: list[Json], name: str, count: str) -> httpx.Response:
    page, size = (int(request.url.params[key]) for key in ("page", "page_size"))
    part = items[(page - 1) * size : page * size]
    return httpx.Response(200, json={name: part, count: len(items)})
