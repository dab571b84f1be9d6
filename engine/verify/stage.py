"""The step's entry points: `send` and `collect`: plain functions, for commands and rounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from PIL import Image

from engine.assist.collecting import sent_tasks
from engine.assist.connection import Connection, connection_of
from engine.assist.sending import Sent
from engine.assist.sending import send as send_tasks
from engine.assist.task_content import who_made
from engine.backend.labels import IMAGE_ID_KEY
from engine.label_studio.labelling_config import PATH_KEY
from engine.verify.choosing import Chosen, choose
from engine.verify.chosen_file import read_chosen, write_chosen
from engine.verify.labelling import VERDICT_CONTROL
from engine.verify.pictures import picture_of
from engine.verify.settings import VerifyRun
from model.errors import ConfigurationError, RecordError
from pipelines.reading import read_photo
from pipelines.reviews import append_reviews, read_reviews
from pipelines.row_lookup import RowLookup
from pipelines.storage import Folder
from stages.photos import decode_photo
from stages.records import ImageRow
from stages.reviews import VERDICTS, ReviewRecord

Json = dict[str, Any]
Told = Callable[[int, int, str], None]

MOST_PROBLEMS: Final = 20


@dataclass(frozen=True)
class SentMasks(Sent):
    """What sending did.

    Attributes:
        unseen: masks that nobody can judge, because they cannot be shown: a sentence each.
    """

    unseen: tuple[str, ...] = ()


@dataclass
class Verified:
    """What a collection found.

    Attributes:
        sent: masks whose task is, or was, on the server.
        finished: of these, looked at.
        skipped: of these, refused by whoever looked.
        added: reviews that are new.
        verdicts: how many of each there are by now, of this step's masks.
        problems: answers that were of no use: a sentence each, the first few.
    """

    sent: int = 0
    finished: int = 0
    skipped: int = 0
    added: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def send(
    settings: VerifyRun,
    *,
    connection: Connection | None = None,
    told: Told = lambda done, total, what: None,
) -> SentMasks:
    """Chooses masks, draws each, and gives it a task; what was chosen before stays chosen.

    Args:
        settings: the step's.
        connection: to the server, in place of one of its own.
        told: how much is done, of how much, of what.

    Raises:
        ConfigurationError: if there is no mask to look at, the server cannot show pictures, or
            other masks are asked for than were chosen before.
        ServerUnavailableError: if the server goes away; sending again goes on.
    """
    if settings.server.photos != "shared" or "://" in settings.out:
        raise ConfigurationError(
            "the verify step's pictures are files of this machine: out has to be a folder here, "
            "and server.photos shared"
        )
    with connection_of(settings.server, connection) as server:
        chosen = _chosen(settings)
        unseen = _draw(settings, chosen, told)
        if len(unseen) == len(chosen):
            raise ConfigurationError(
                f"{settings.run}: none of its {len(chosen)} masks can be shown: {unseen[0]}"
            )
        sent = send_tasks(
            settings.tasks(), server, told=lambda done, total: told(done, total, "sending")
        )
        return SentMasks(**vars(sent), unseen=tuple(unseen))


def collect(
    settings: VerifyRun,
    *,
    connection: Connection | None = None,
    told: Told = lambda done, total, what: None,
) -> Verified:
    """Appends what people said to the reviews of the run; collecting twice adds nothing.

    Raises:
        ConfigurationError: if nothing was sent yet, or it was of another run.
        ServerUnavailableError: if the server goes away; collecting again goes on.
    """
    chosen = {mask.mask_id: mask for mask in read_chosen(Folder(settings.out), settings)}
    found = Verified()
    reviews: list[ReviewRecord] = []
    with connection_of(settings.server, connection) as server:
        project, sent = sent_tasks(settings.tasks(), server.studio)
        seen = {image for image, picture in sent.items() if picture.confirmed}
        for place, task in enumerate(server.studio.tasks(project), start=1):
            told(min(place, len(sent)), len(sent), "looking")
            seen |= {str(task["data"].get(IMAGE_ID_KEY))} & sent.keys()
            if task["cancelled_annotations"] and not task["total_annotations"]:
                found.skipped += 1
            if task["total_annotations"]:
                found.finished += 1
                full = server.studio.task(task["id"])
                reviews += _reviews_of(full, chosen, found)
    found.sent = len(seen)
    found.added = append_reviews(Folder(settings.run), reviews)
    found.verdicts = Counter(review.verdict for review in reviews)
    return found


def _chosen(settings: VerifyRun) -> Sequence[Chosen]:
    out = Folder(settings.out)
    before = read_chosen(out, settings)
    if before:
        return before
    reviewed = (review.mask_id for review in read_reviews(Folder(settings.run)))
    chosen = choose(
        settings.run,
        order=settings.order,
        most=settings.most,
        seed=settings.seed,
        without=frozenset() if settings.again else frozenset(reviewed),
    )
    if not chosen:
        raise ConfigurationError(
            f"{settings.run}: has no mask that nobody has looked at; again=true sends them again"
        )
    write_chosen(out, settings, chosen)
    return chosen


def _draw(settings: VerifyRun, chosen: Sequence[Chosen], told: Told) -> list[str]:
    """Draws what is not drawn yet, photo by photo; gives what cannot be drawn, and why.

    The first to be looked at has the first name.
    """
    folder = Path(settings.pictures).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    names = {c.mask_id: picture_name(place, c.mask_id) for place, c in enumerate(chosen)}
    rows = RowLookup(Folder(settings.run))
    by_photo: dict[str, list[str]] = {}
    for mask in chosen:
        if not (folder / names[mask.mask_id]).exists():
            by_photo.setdefault(mask.image_id, []).append(mask.mask_id)
    unseen: list[str] = []
    for place, (image, wanted) in enumerate(by_photo.items()):
        told(place, len(by_photo), "drawing")
        row = rows.get(image)
        why = "its photo is not in the run any more"
        if row is not None:
            why = _draw_photo(settings, row, frozenset(wanted), folder, names)
        unseen += [f"mask {id_}: {why}" for id_ in wanted if not (folder / names[id_]).exists()]
    return unseen


def _draw_photo(
    settings: VerifyRun,
    row: ImageRow,
    wanted: frozenset[str],
    folder: Path,
    names: Mapping[str, str],
) -> str:
    """Gives why there is no picture of those for which there is none."""
    try:
        photo = decode_photo(row.image or read_photo(row.ref.uri, settings.limits), settings.limits)
    except RecordError as error:
        return f"{row.ref.path} cannot be shown ({error})"
    for mask in row.masks:
        if mask.mask_id in wanted:
            part = folder / f".{mask.mask_id}.part"
            picture = Image.fromarray(picture_of(photo.pixels_HWC, mask))
            picture.save(part, format="JPEG", quality=88)
            part.replace(folder / names[mask.mask_id])
    return "it is not in the run any more"


def picture_name(place: int, mask_id: str) -> str:
    """Name of a picture: tasks are made in the order of names."""
    return f"{place:06d}-{mask_id}.jpg"


def _reviews_of(
    task: Json, chosen: Mapping[str, Chosen], found: Verified
) -> Iterator[ReviewRecord]:
    """What people said about one mask; what is of no use is told and passed over."""
    path = str(task["data"].get(PATH_KEY))
    mask = chosen.get(PurePosixPath(path).stem.partition("-")[2])
    for annotation in task["annotations"]:
        if annotation["was_cancelled"]:  # whatever was chosen before it was refused
            continue
        verdict = _verdict(annotation)
        if mask is None or verdict is None:
            if len(found.problems) < MOST_PROBLEMS:
                why = "shows no mask that was sent" if mask is None else "says no verdict"
                found.problems.append(f"task {task['id']} ({path[:60]}): {why}")
            continue
        seconds = annotation.get("lead_time")
        yield ReviewRecord(
            mask_id=mask.mask_id,
            image_id=mask.image_id,
            verdict=verdict,
            annotator=who_made(annotation),
            seconds=None if seconds is None else float(seconds),
            at=datetime.fromisoformat(str(annotation["updated_at"])).astimezone(UTC),
        )


def _verdict(annotation: Json) -> str | None:
    for region in annotation["result"] or []:
        if region.get("from_name") == VERDICT_CONTROL:
            choices = (region.get("value") or {}).get("choices") or [None]
            return choices[0] if choices[0] in VERDICTS else None
    return None
