"""The types of the JSON files in a run folder, with which they are checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict, TypeVar

import msgspec
from msgspec import Meta

from impasto.config.checked import Count, Number, Positive
from impasto.config.config import Config

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="a SHA-256")]
FilePath = Annotated[str, Meta(pattern=r"^[^\0]*$", description="a path")]
Some = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Space = Annotated[list[Some], Meta(min_length=1, max_length=3)]

T = TypeVar("T")


class IdentityRecord(TypedDict):
    """Everything that decides the result of a run."""

    impasto: str
    config: Config
    content: Digest
    styles: list[Digest]
    shares: list[Number]
    files: dict[str, Digest | None]
    processes: Some


class OriginRecord(TypedDict):
    """What a run was asked for."""

    command: list[str]
    folder: FilePath
    output: FilePath | None
    content: FilePath | None
    styles: Annotated[list[FilePath | None], Meta(min_length=1)]
    texture: bool
    gray: bool
    preset: str
    settings: Config


class RunRecord(TypedDict):
    """The file run.json."""

    identity: IdentityRecord
    origin: OriginRecord
    inputs: dict[str, Digest | None]
    versions: dict[str, str | int | None]


class StepRecord(TypedDict):
    """A line of steps.jsonl."""

    scale: Some
    scales: Some
    space: Space
    step: Some
    steps: Some
    value: float
    terms: dict[str, float]
    seconds: Number
    note: str


class StateScalars(TypedDict):
    """The numbers of an optimizer's state."""

    learning_rate: float
    best_value: float
    retreats: Count
    count: Count
    adam: bool


class CheckpointScalars(TypedDict):
    """The numbers of a checkpoint."""

    scale: Some
    taken: Count
    weight: Number
    lowest: float
    stale: Count
    memory: Positive
    ended: bool
    threads: Count
    device: NotRequired[str]
    before: list[float]
    state: StateScalars


class NoRecordError(Exception):
    """A JSON text is not one of these records; the message says where and why."""


def decoded(text: bytes | str) -> Any:
    """Decodes JSON, with NaN and infinities; raises NoRecordError if it is not valid."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoRecordError(f"no JSON, {error}") from error


def checked(value: Any, kind: type[T]) -> T:
    """Converts a decoded value to one of these types; raises NoRecordError if it does not fit."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NoRecordError(str(error)) from error


def check_names(settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises NoRecordError for unknown settings, which conversion to Config would ignore."""
    known = msgspec.to_builtins(Config())
    for group, values in settings.items():
        strange = {group} - known.keys() or values.keys() - known[group].keys()
        if strange:
            raise NoRecordError(f"no setting {min(strange)!r} is known here")
