"""What pages know of the lab: never old for long, and at once where the server changed it."""

import time

import chymist
from chymist.lab import Lab, runner
from chymist.web import reading as module
from chymist.web.reading import Reading


def test_many_readers_wait_for_nobody_who_looks_into_the_lab(tmp_path, monkeypatch, soon):
    study = chymist.find("integer-complexity")
    reading = Reading(Lab(tmp_path), tmp_path)
    first = runner.plan(study, lab=tmp_path).name
    assert [line.id for line in reading.listing()] == [first]
    second = runner.plan(study, lab=tmp_path).name
    looks = []
    real = module.Index.count

    def count(index, **options):
        looks.append(index)
        time.sleep(0.3)
        return real(index, **options)

    monkeypatch.setattr(module.Index, "count", count)
    # Older than FRESH: what is known is shown at once, while somebody looks, once.
    reading._looked -= module.FRESH
    begun = time.monotonic()
    assert [[line.id for line in reading.listing()] for _ in range(5)] == [[first]] * 5
    assert time.monotonic() - begun < 0.3
    soon(lambda: len(reading.listing()) == 2)
    assert len(looks) == 1 and looks[0] is not reading.lab.index
    # Older than STALE, or changed by the server itself: a page waits.
    for age in (reading.look_again, lambda: forget(reading)):
        before = len(reading.listing())
        runner.plan(study, lab=tmp_path)
        age()
        assert len(reading.listing()) == before + 1
    assert second in [line.id for line in reading.listing()]


def forget(reading):
    reading._looked -= module.STALE
