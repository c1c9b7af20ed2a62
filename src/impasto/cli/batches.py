"""Run `impasto batch`: list what is to be made, have it made, and show how it goes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from impasto import media
from impasto.batch.batch import Outcome, run_jobs
from impasto.batch.jobs import Job, Settings, every_pair, read_pairs, shard_of
from impasto.batch.manifest import MANIFEST, Manifest
from impasto.batch.overview import PAGE, SHEET, write_overview
from impasto.cli.batch_arguments import Batch
from impasto.cli.batch_viewers import Watcher, watcher_of
from impasto.cli.launching import SHARED
from impasto.cli.parsing import fitting_preset, parse
from impasto.cli.touched import Target, Touched, check_touched
from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.config.texts import with_texts
from impasto.errors import ConfigError, ImpastoError, OutputError
from impasto.media.listing import Found, list_samples
from impasto.system.interrupts import Interrupts


def run_batch(command: Batch, arguments: Sequence[str], interrupts: Interrupts) -> int:
    """Makes the results of a batch; returns how many failed.

    Args:
        command: the command.
        arguments: the command line after `impasto`.
        interrupts: the signals that end it.

    Raises:
        ConfigError: the contents or the flags cannot be used, or two results would be one file.
        OutputError: the folder of the results cannot be written.
        ProcessError: the scheduler of the cluster is gone.
        SampleError: a pattern matches nothing.
    """
    _check_alone()
    jobs = jobs_of(command, arguments)
    own = shard_of(jobs, command.cluster.shard)
    _check_outputs(command, jobs)
    manifest = Manifest(command.output)
    with watcher_of(quiet=command.quiet, json=command.json) as watcher:
        if command.cluster.dask:
            from impasto.batch.cluster import run_on_dask

            run = partial(
                run_on_dask,
                scheduler=command.cluster.dask,
                workers=command.cluster.workers,
                ship=command.cluster.ship,
            )
        else:
            run = partial(run_jobs, shard=command.cluster.shard)
        outcome = run(own, manifest, watcher, interrupts, retry=command.cluster.retry)
        _finish(command, manifest, outcome, watcher)
    return len(outcome.of("failed"))


def _check_alone() -> None:
    """Raises ConfigError where torchrun has started several processes."""
    if int(os.environ.get(SHARED, "1")) > 1:
        raise ConfigError(
            subject="batch",
            expected="a process of its own",
            found=f"{os.environ[SHARED]} that torchrun has started",
            remedy="start it without torchrun: --shard and --dask share the work",
        )


def jobs_of(command: Batch, arguments: Sequence[str]) -> list[Job]:
    """Lists the jobs of a command, of all shards.

    Raises:
        ConfigError: contents and styles, or a table, are missing, or are both there.
        SampleError: a pattern matches nothing.
    """
    suffix = f".{command.format}" if command.format else None
    settings = _settings(command, arguments)
    whole = bool(command.contents) and bool(command.styles)
    if whole == (command.pairs is not None) or (command.pairs and (whole or command.styles)):
        raise ConfigError(
            subject="batch",
            expected="contents and --styles, or --pairs",
            found=_given(command),
            remedy="give for example: impasto batch 'photos/*.jpg' --styles paintings/ -o out/",
        )
    if command.pairs:
        return read_pairs(command.pairs, settings, suffix)
    contents = _outside(list_samples(command.contents), command.output)
    return every_pair(contents, list_samples(command.styles), settings, suffix)


def _given(command: Batch) -> str:
    given = {
        "contents": command.contents,
        "--styles": command.styles,
        "--pairs": command.pairs,
    }
    return " and ".join(name for name, value in given.items() if value) or "neither"


def _settings(command: Batch, arguments: Sequence[str]) -> Settings:
    """Returns what gives the settings for a content: its kind chooses the preset, if none is named.

    A preset's own defaults, for its start, hold under the flags of the command, and a row's cells
    over them.
    """

    @cache
    def of_preset(preset: str, init: str) -> Config:
        if command.recipe is not None or (preset == command.preset and not init):
            return command.config
        start = ["--init", init] if init else []
        again = parse([*arguments, "--preset", preset, *start])
        assert isinstance(again, Batch)
        return again.config

    def settings(content: Path, texts: Mapping[str, str]) -> tuple[Config, str]:
        others = {name: text for name, text in texts.items() if name != "preset"}
        preset = texts.get("preset") or command.preset
        if preset not in PRESETS and preset != "auto":
            raise ConfigError(
                subject="preset",
                expected=f"auto or {', '.join(PRESETS)}",
                found=preset,
                remedy="change it",
            )
        if preset == "auto":
            preset = fitting_preset([str(content)])
        return with_texts(of_preset(preset, others.get("init", "").strip()), others), preset

    return settings


def _outside(contents: Sequence[Found], output: Path) -> list[Found]:
    """Leaves out the results of earlier batches, which lie in a folder below the contents'.

    Raises:
        ConfigError: the contents lie in the folder of the results.
    """
    folder = Path(os.path.realpath(output))
    kept = []
    for found in contents:
        path = Path(os.path.realpath(found.path))
        if not path.is_relative_to(folder):
            kept.append(found)
        elif not folder.is_relative_to(path.parents[len(found.below.parts) - 1]) or (
            folder == path.parents[len(found.below.parts) - 1]
        ):
            raise ConfigError(
                subject="--output",
                expected="a folder for the results alone",
                found=f"{output}, which holds the content {found.path}",
                remedy="choose another folder with -o",
            )
    return kept


def _check_outputs(command: Batch, jobs: Sequence[Job]) -> None:
    """Raises where two results would be one file, or one would replace an input."""
    seen: dict[str, Job] = {}
    for job in jobs:
        if other := seen.get(job.name.casefold()):
            raise ConfigError(
                subject="--output",
                expected="a file for each result",
                found=f"{job.name} for {_inputs(other)} and for {_inputs(job)}",
                remedy="rename one of them, or name the results in the column output of --pairs",
            )
        seen[job.name.casefold()] = job
    reads = {path: role for job in jobs for role, path in job.files.items()}
    if command.pairs:
        reads[command.pairs] = "table of --pairs"
    if command.recipe:
        reads[command.recipe] = "recipe"
    names = [job.name for job in jobs] + [MANIFEST, SHEET, PAGE]
    targets = [Target("--output", command.output / name) for name in names]
    check_touched(Touched([(role, path) for path, role in reads.items()], targets))
    for suffix in {media.files.suffix_of(job.name) for job in jobs}:
        media.suffixes.target_format(f"result{suffix}").requires()


def _inputs(job: Job) -> str:
    return " + ".join(map(str, (job.content, *job.styles)))


def _finish(command: Batch, manifest: Manifest, outcome: Outcome, watcher: Watcher) -> None:
    """Writes the overview, and the manifest with one line for each result."""
    written: list[Path] = []
    try:
        manifest.compact()
        written = write_overview(manifest)
    except OutputError as error:  # the results are there
        watcher.warning(f"{error}; there is no overview")
    except ImpastoError as error:
        watcher.warning(f"no overview: {error}")
    watcher.finish(outcome, written)
