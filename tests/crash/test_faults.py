"""Every file operation of a run fails once: what is there is whole, and the run goes on."""

import itertools

import pytest

import chymist
from chymist.errors import CannotWrite
from chymist.lab import Lab


def completed(lab, study, options):
    """Go on with what a failed run left, or start again where it left nothing."""
    if not lab.exists():
        return chymist.run(study, **options)
    [manifest] = Lab(lab).manifests()
    run = Lab(lab).open(manifest["id"])
    return run if run.sealed else run.resume()


def fail_each(lab, study, fault, found, actions, **options):
    """Fail the first operation of a run, the second, ... until a run succeeds; return how many.

    Errors take turns.
    """
    whole = chymist.run(study, **options)
    for n in itertools.count(1):
        Lab(lab).discard(lab / "runs" / Lab(lab).open().id)
        fault(f"any:{n}:{actions[n % len(actions)]}")
        try:
            done = chymist.run(study, **options)
        except CannotWrite as error:
            assert error.hint
            fault()
            done = completed(lab, study, options)
            assert found(done) == found(whole)
        else:
            fault()
            assert found(done) == found(whole)
            return n
        finally:
            fault()


def test_a_full_disk_at_any_operation_loses_nothing_sealed(lab, tiny, fault, found):
    assert fail_each(lab, tiny, fault, found, ["ENOSPC"]) > 25


@pytest.mark.slow
def test_any_error_at_any_operation(lab, pair, fault, found):
    """Each chunk passes the same operations: so each of them fails by each error."""
    errors = ["EIO", "EINTR", "ENOSPC"]
    assert fail_each(lab, pair, fault, found, errors, width=(4,)) > 45


def end_at(lab, study, forked, found, whole, fault):
    """End a run at a fault and go on; return its exit code and whether there was a run already."""
    code = forked("run", study, CHYMIST_FAULT=fault)
    planned = bool(Lab(lab).manifests())
    done = completed(lab, study, {}) if planned else chymist.run(study)
    assert found(done) == found(whole)
    Lab(lab).discard(done.folder)
    return code, planned


@pytest.mark.parametrize("point", ["folder", "write", "flush", "rename", "append", "seal"])
def test_killed_at_each_named_point(lab, pair, forked, found, point):
    whole = chymist.run(pair, lab=lab.parent / "whole")
    n = 1 if point == "folder" else 6
    end = end_at(lab, pair, forked, found, whole, f"{point}:{n}:kill")
    assert end == (-9, point != "folder")


@pytest.mark.slow
def test_ended_at_any_operation(lab, tiny, forked, found):
    whole = chymist.run(tiny, lab=lab.parent / "whole")
    planned = []
    for n in itertools.count(1):
        code, before = end_at(lab, tiny, forked, found, whole, f"any:{n}:exit")
        if code == 0:
            break
        assert code == 70
        planned.append(before)
    assert planned == sorted(planned)
    assert planned.count(True) > 25
