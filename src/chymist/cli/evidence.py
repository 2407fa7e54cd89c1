"""`chymist evidence`."""

from __future__ import annotations

from pathlib import Path

from chymist import catalogue
from chymist.cli.interrupts import polite
from chymist.cli.output import err
from chymist.cli.progress import progress
from chymist.errors import BadParameter, UsageError, did_you_mean


def evidence_(
    *studies: str,
    preset: str = "quick",
    run: str = "",
    output: Path = Path("docs/evidence"),
    lab: Path | None = None,
    threads: int | None = None,
    jobs: int = 1,
) -> int:
    """Run a preset of studies and keep what it finds beside the source, whatever that is.

    Writes OUTPUT/SLUG.json (verdicts, intervals, values of the seeds, versions, time taken, digests
    of the claims) and the figures as OUTPUT/SLUG/PRESET/*.svg; what was there of other presets
    stays. Exit code 5 if a control did not flip, else 0: an inconclusive or refuted claim is
    evidence, too. `chymist atlas` makes pages of it.

    Parameters
    ----------
    studies
        Slugs, or Python files that bind STUDY.
    preset
        Named settings of the studies: quick, or paper for the published scale.
    run
        A finished run of the preset to take in place of a new one: its id, a unique part of it, or
        latest.
    output
        Folder of the evidence.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    threads
        Processor threads of each process; all cores by default, one each with several jobs.
    jobs
        Processes that compute.
    """
    if not studies:
        raise UsageError("no study is named", "chymist list shows the studies")
    if run and len(studies) > 1:
        raise UsageError("one run is evidence of one study", "name that study alone")
    found = {name: catalogue.find(name) for name in studies}
    for study in found.values():
        if not run and preset not in study.presets:
            known = did_you_mean(preset, study.presets)
            raise BadParameter(f"{study.slug} has no preset {preset}", known)
    from chymist import api
    from chymist.cli.show import print_outcome
    from chymist.lab import Lab
    from chymist.report import evidence

    broken = False
    for name, study in found.items():
        if run:
            done = Lab(lab).open(run)
        else:
            with polite() as hint, progress(hint) as observe:
                done = api.run(
                    name, preset=preset, lab=lab, threads=threads, jobs=jobs, observe=observe
                )
        path = evidence.keep(done, study, output)
        broken = broken or done.broken
        print_outcome(done)
        err().print(f"evidence: {path}", soft_wrap=True)
    return 5 if broken else 0
