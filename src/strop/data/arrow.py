"""Rows of Parquet files, and of the folders that `datasets` saves. Only this file knows pyarrow: it is strop[data]."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from strop.data.cells import plain_row
from strop.data.rows import Row, Table

STATE, INFO, SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
"""What `save_to_disk` writes beside a data set's files; of several splits the last one, and a folder for each."""


def of_parquet(path: Path) -> Table:
    """The rows of a Parquet file, counted from 1."""
    _check_reader(path)
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path} is not Parquet ({_first_line(error)}).") from None
    described = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    features = json.loads(described).get("info", {}).get("features") or {}
    return _table(path, file.schema_arrow.names, file.iter_batches(), features)


def of_saved(folder: Path) -> Table:
    """The rows of a data set that `datasets` saved into this folder, counted from 1."""
    if (folder / SPLITS).is_file():
        splits = json.loads((folder / SPLITS).read_text(encoding="utf-8"))["splits"]
        raise ValueError(f"{folder} holds the splits {', '.join(splits)}: give one, such as {folder / splits[0]}.")
    if not (folder / STATE).is_file():
        raise ValueError(
            f"{folder} is a folder, but not one that Dataset.save_to_disk wrote, which has a {STATE}. Give a file."
        )
    _check_reader(folder)
    import pyarrow

    files = [folder / file["filename"] for file in json.loads((folder / STATE).read_text("utf-8"))["_data_files"]]
    features = json.loads((folder / INFO).read_text("utf-8")).get("features") or {}
    try:
        streams = [pyarrow.ipc.open_stream(pyarrow.memory_map(str(file))) for file in files]
    except pyarrow.ArrowException as error:
        raise ValueError(f"{folder} cannot be read ({_first_line(error)}).") from None
    names = streams[0].schema.names if streams else []
    return _table(folder, names, (batch for stream in streams for batch in stream), features)


def _check_reader(path: Path) -> None:
    """Raise ModuleNotFoundError if the package that reads Parquet is not there."""
    if find_spec("pyarrow") is None:
        raise ModuleNotFoundError(f'{path} is read by the package pyarrow: pip install "strop[data]"')


def _table(path: Path, names: list[str], batches: Iterable[Any], features: Mapping[str, Any]) -> Table:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path} has the column {twice[0]!r} twice: rename one.")
    return Table(str(path), "row", tuple(names), _rows(batches, features))


def _rows(batches: Iterable[Any], features: Mapping[str, Any]) -> Iterator[Row]:
    number = 0
    for batch in batches:
        for record in batch.to_pylist():
            number += 1
            yield plain_row(number, record, features)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
