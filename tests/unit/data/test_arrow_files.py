"""Parquet files, and folders as `Dataset.save_to_disk` writes them."""

from __future__ import annotations

import importlib.util
import json
from datetime import datetime

import pyarrow
import pytest
from pyarrow import parquet

from strop.data import arrow
from strop.data.tasks import from_file
from strop.types import Task

KINDS = {"_type": "ClassLabel", "names": ["neg", "pos"]}
FEATURES = {"text": {"dtype": "string", "_type": "Value"}, "label": KINDS, "tags": {"feature": KINDS, "_type": "List"}}
ROWS = [
    {"text": "good", "label": 1, "tags": [1, 0]},
    {"text": "bad", "label": 0, "tags": []},
    {"text": "unknown", "label": -1, "tags": [0]},
]
METADATA = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
"""What the package `datasets` writes into a schema."""


def test_rows_of_parquet_are_tasks(tmp_path):
    path = tmp_path / "t.parquet"
    messages = [{"role": "user", "content": "hi"}]
    table = pyarrow.table(
        {
            "messages": [messages, messages],
            "answer": [8, 2.5],
            "seen": [datetime(2026, 1, 2), None],
            "score": [0.5, float("nan")],
        }
    )
    parquet.write_table(table, path)
    with pytest.raises(ValueError, match=r"t\.parquet, row 2: task '2': data\['score'\] is nan, which JSON cannot say"):
        from_file(path)
    said = []
    (task,) = from_file(path, broken="leave out", tell=said.append)
    assert task == Task("1", messages, "8.0", {"seen": "2026-01-02T00:00:00", "score": 0.5})
    assert said[0].startswith(f"{path}: 1 of 2 rows is left out:\n  row 2: ")


@pytest.mark.parametrize("size", [1, 100])
def test_rows_are_counted_through_all_groups(tmp_path, size):
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"prompt": ["a", None, "c"]}), path, row_group_size=size)
    with pytest.raises(ValueError, match="row 2: the prompt is a text"):
        from_file(path)


def test_parquet_that_datasets_wrote_has_the_names_of_its_classes(tmp_path):
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(ROWS).replace_schema_metadata(METADATA), path)
    said = []
    tasks = from_file(path, prompt="text", answer="label", broken="leave out", tell=said.append)
    assert tasks == [Task("1", "good", "pos", {"tags": ["pos", "neg"]}), Task("2", "bad", "neg", {"tags": []})]
    assert 'row 3: "label" is a text or a number, not null' in said[0]


def test_parquet_that_others_wrote_keeps_its_numbers(tmp_path):
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    assert [task.answer for task in from_file(path, prompt="text", answer="label")] == ["1", "0", "-1"]


def test_what_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1, it says")
    with pytest.raises(ValueError, match=r"t\.parquet is not Parquet \("):
        from_file(path)
    parquet.write_table(pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["prompt", "prompt"]), path)
    with pytest.raises(ValueError, match="has the column 'prompt' twice"):
        from_file(path)
    parquet.write_table(pyarrow.table({"body": ["a"]}), path)
    with pytest.raises(ValueError, match=r"t\.parquet: there is no column 'text': it has body\."):
        from_file(path, prompt="text")


def saved(folder, files):
    """A folder as `Dataset.save_to_disk` of datasets 5.2 writes it; `files` are the rows of each."""
    folder.mkdir()
    names = [f"data-{number:05d}-of-{len(files):05d}.arrow" for number in range(len(files))]
    for name, rows in zip(names, files, strict=True):
        table = pyarrow.Table.from_pylist(rows, schema=pyarrow.Table.from_pylist(ROWS).schema)
        with pyarrow.OSFile(str(folder / name), "wb") as out, pyarrow.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "0", "_format_type": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"citation": "", "features": FEATURES}))
    return folder


def test_a_saved_folder_is_read_through_all_its_files(tmp_path):
    folder = saved(tmp_path / "mine", [ROWS[:1], ROWS[1:2]])
    assert from_file(folder, prompt="text", answer="label") == [
        Task("1", "good", "pos", {"tags": ["pos", "neg"]}),
        Task("2", "bad", "neg", {"tags": []}),
    ]


def test_folders_that_hold_no_rows_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder, but not one that Dataset\.save_to_disk wrote"):
        from_file(tmp_path)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(ValueError, match=r"holds the splits train, test: give one, such as .*/train\."):
        from_file(tmp_path)
    folder = saved(tmp_path / "mine", [ROWS])
    (folder / "data-00000-of-00001.arrow").write_bytes(b"not arrow at all")
    with pytest.raises(ValueError, match=r"mine cannot be read \("):
        from_file(folder)
    with pytest.raises(ValueError, match=r"encoding='utf-8': .* is no text file"):
        from_file(folder, encoding="utf-8")


def test_without_pyarrow_its_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow, "find_spec", lambda name: None if name == "pyarrow" else importlib.util.find_spec(name))
    with pytest.raises(
        ModuleNotFoundError, match=r't\.parquet is read by the package pyarrow: pip install "strop\[data\]"'
    ):
        from_file(tmp_path / "t.parquet")
