"""Work is kept whole and never goes backwards; everybody gets the photo that is theirs."""

from __future__ import annotations

import pytest

from engine.annotate.queue import Progress, Queue
from engine.annotate.work_folder import WorkFolder
from pipelines.storage import Folder
from tests.engine.annotate.annotating import make_work, sent
from tests.factories import make_ref


@pytest.fixture
def work(tmp_path):
    return WorkFolder(Folder(str(tmp_path)))


def photos(count):
    return [make_ref(f"{place}.png") for place in range(count)]


def test_work_is_there_after_a_restart(tmp_path, work):
    assert work.save("photo", sent(make_work("Ada Löve/lace")))
    again = WorkFolder(Folder(str(tmp_path)))
    assert again.find("photo", "Ada Löve/lace") == sent(make_work("Ada Löve/lace"))


def test_late_words_do_not_undo_later_ones(work):
    assert work.save("photo", sent(make_work(seconds=20.0)))
    assert not work.save("photo", sent(make_work(seconds=12.0, masks=[])))
    assert work.find("photo", "Ada").seconds == 20.0


def test_finished_work_stays_as_it_is(work):
    assert work.save("photo", sent(make_work(done="complete", ended=112.0)))
    assert not work.save("photo", sent(make_work(seconds=99.0, masks=[])))
    assert len(work.find("photo", "Ada").masks) == 1


def test_a_person_goes_on_with_what_they_began(work):
    refs = photos(3)
    work.save(refs[1].image_id, sent(make_work()))
    queue = Queue(refs, work, annotators=1)
    assert queue.next("Ada") == [refs[1], refs[0]]


def test_two_people_begin_with_different_photos(work):
    refs = photos(3)
    work.save(refs[0].image_id, sent(make_work("Ada")))
    assert Queue(refs, work, annotators=1).next("Bo")[0] == refs[1]


def test_a_photo_that_somebody_left_is_given_out_in_the_end(work):
    refs = photos(1)
    work.save(refs[0].image_id, sent(make_work("Ada")))
    assert Queue(refs, work, annotators=1).next("Bo") == refs


def test_a_finished_photo_is_given_to_nobody(work):
    refs = photos(2)
    work.save(refs[0].image_id, sent(make_work(done="complete")))
    queue = Queue(refs, work, annotators=1)
    assert queue.next("Ada") == queue.next("Bo") == [refs[1]]
    assert queue.progress("Ada") == Progress(mine=1, finished=1, total=2)


def test_two_annotators_do_the_same_photo(work):
    refs = photos(1)
    work.save(refs[0].image_id, sent(make_work("Ada", done="complete")))
    queue = Queue(refs, work, annotators=2)
    assert queue.next("Ada") == []
    assert queue.next("Bo") == refs
    assert queue.progress("Bo").finished == 0
