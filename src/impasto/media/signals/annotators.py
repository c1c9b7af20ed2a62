"""WFDB annotation files: one for each annotator, named by its suffix, beside the record.

The library wfdb decodes and encodes them. Ours is what it does not do: find the files of all
annotators, write annotators whose names have digits, and write annotations it has no symbol for.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from impasto.errors import OutputError
from impasto.media.coding import decoding
from impasto.media.signals.signal import Annotation, Signal
from impasto.system.libraries import library

wfdb_library = partial(library, "wfdb", "for WFDB records", "signals")

# A file of another suffix may be anything, and wfdb finds annotations in whatever it gets.
ANNOTATORS = (
    *("atr", "ari", "qrs", "ecg", "ann", "al", "alM", "aux", "apn", "pwave", "event", "trigger"),
    *("st", "sta", "stb", "stc", "stf", "man", "pu", "pu0", "pu1", "q1c", "q2c", "qt1", "qt2"),
    *("wqrs", "gqrs", "sqrs", "xqrs", "wabp", "win", "cvt", "epi", "not", "resp", "rpk", "hypn"),
)
_LONGEST_TEXT = 255

Label = tuple[int, str, str]
"""The code, the symbol and the description of annotations of one sort."""


def annotations_beside(
    stem: str, rate: float
) -> tuple[tuple[Annotation, ...], tuple[tuple[str, tuple[Label, ...]], ...]]:
    """Reads the annotations of all the files beside a record.

    Args:
        stem: the path of the record, without a suffix.
        rate: of the record's frames, in Hz; annotations count in frames where they do not say.

    Returns:
        The annotations, and pairs of an annotator and the labels that are its own.

    Raises:
        SampleError: a file is damaged.
    """
    annotations: list[Annotation] = []
    labels = []
    for annotator in ANNOTATORS:
        path = Path(f"{stem}.{annotator}")
        if not path.is_file():
            continue
        file = _read(path)
        rate_here = file.fs or rate
        annotations += [
            Annotation(
                time=float(sample / rate_here),
                text=text or "",
                symbol=symbol if isinstance(symbol, str) else '"',
                subtype=int(subtype),
                channel=int(channel),
                number=int(number),
                annotator=annotator,
            )
            for sample, text, symbol, subtype, channel, number in zip(
                *(file.sample, file.aux_note, file.symbol, file.subtype, file.chan, file.num),
                strict=True,
            )
        ]
        if file.custom_labels is not None:
            columns = ["label_store", "symbol", "description"]
            rows = file.custom_labels[columns].itertuples(index=False)
            labels.append((annotator, tuple((int(row[0]), row[1], row[2]) for row in rows)))
    return tuple(annotations), tuple(labels)


def write_annotations(
    wfdb: ModuleType, signal: Signal, labels: dict[str, tuple[Label, ...]], name: str, folder: Path
) -> None:
    """Writes a signal's annotations, a file for each annotator.

    Times become whole positions; WFDB has no durations. An annotation whose symbol WFDB does not
    know becomes a note that names it.

    Args:
        wfdb: the library.
        signal: with the annotations.
        labels: of each annotator, those of its own.
        name: of the record.
        folder: to write in.

    Raises:
        OutputError: an annotator's name cannot be the suffix of a file.
    """
    for annotator in dict.fromkeys(each.annotator for each in signal.annotations):
        if not re.fullmatch(r"\w+", annotator, re.ASCII) or annotator in ("hea", "dat"):
            raise OutputError(
                expected="annotators named by letters and digits",
                found=repr(annotator),
                remedy="choose another name",
            )
        own = [label for label in labels.get(annotator, ()) if len(label[1]) == 1]  # all it writes
        known = {*wfdb.io.annotation.ann_label_table["symbol"], *(label[1] for label in own)}
        its = [_as_known(each, known) for each in signal.annotations if each.annotator == annotator]
        its.sort(key=lambda each: each.time)
        wfdb.wrann(
            name,
            "written",  # wfdb wants letters only, and "q1c" is a common name
            sample=np.array([max(0, round(each.time * signal.rate)) for each in its], np.int64),
            symbol=[each.symbol for each in its],
            subtype=np.array([each.subtype for each in its], np.int64),
            chan=np.array([each.channel for each in its], np.int64),
            num=np.array([max(0, each.number) for each in its], np.int64),
            aux_note=[_text(each.text) for each in its],
            custom_labels=own or None,
            write_dir=folder,
        )
        (folder / f"{name}.written").rename(folder / f"{name}.{annotator}")


def _read(path: Path) -> Any:
    whole = f"annotations whole to their end in {path.name}"
    with decoding(whole, "wfdb", "get it again, or move it away"):
        return wfdb_library().rdann(str(path.with_suffix("")), path.suffix[1:])


def _as_known(annotation: Annotation, symbols: set[str]) -> Annotation:
    """Returns an annotation with one of the symbols; a note where its own is not among them."""
    if annotation.symbol in symbols:
        return annotation
    text = f"{annotation.symbol} {annotation.text}".strip()
    return annotation._replace(symbol='"', text=text)


def _text(text: str) -> str:
    """Returns what the format can hold: 255 characters of Latin-1, without tabs and line ends."""
    single = re.sub(r"[\t\n\r\f\v]", " ", text)
    return single.encode("latin-1", "replace")[:_LONGEST_TEXT].decode("latin-1")
