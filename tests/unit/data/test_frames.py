"""Pickled data frames: what they hold is read, and what else they name is refused. pandas is not needed."""

import os
import pickle
import sys
from types import ModuleType

import numpy as np
import pytest

from strop.data.frames import frame_columns


class Named:
    """Pickles as a call of the function of this name, which is not there to be called."""

    def __init__(self, function, *arguments, state=None):
        self.function, self.arguments, self.state = function, arguments, state

    def __reduce__(self):
        return (self.function, self.arguments) if self.state is None else (self.function, self.arguments, self.state)


@pytest.fixture
def pandas(monkeypatch):
    """The names of pandas that a pickle of it holds."""

    made = {}

    def named(module, name):
        for part in (module.split(".")[0], module):
            if part not in made:
                made[part] = ModuleType(part)
                monkeypatch.setitem(sys.modules, part, made[part])
        if name not in vars(made[module]):
            setattr(made[module], name, type(name, (), {"__module__": module, "__qualname__": name}))
        return getattr(made[module], name)

    return named


def frame(pandas, blocks, names):
    index = Named(pandas("pandas.core.indexes.base", "_new_Index"), pandas("pandas.core.indexes.base", "Index"),
                  {"data": np.array(names, dtype=object), "name": None})  # fmt: skip
    made = [Named(pandas("pandas._libs.internals", "_unpickle_block"), *block, 2) for block in blocks]
    manager = Named(pandas("pandas.core.internals.managers", "BlockManager"), tuple(made), [index, index])
    return pickle.dumps(Named(pandas("pandas.core.frame", "DataFrame"), state={"_mgr": manager, "_typ": "dataframe"}))


def test_columns_come_back_by_name_in_their_order(pandas):
    numbers, texts = np.array([[1.0, 2.5], [3.0, 4.0]]), np.array([["a", "b"]], dtype=object)
    found = frame_columns(frame(pandas, [(numbers, slice(0, 3, 2)), (texts, np.array([1]))], ["x", "word", "y"]))
    assert list(found) == ["x", "word", "y"]
    assert {name: column.tolist() for name, column in found.items()} == {
        "x": [1.0, 2.5],
        "word": ["a", "b"],
        "y": [3.0, 4.0],
    }


def test_a_program_is_not_run(tmp_path):
    there = tmp_path / "there"
    with pytest.raises(ValueError, match=r"names (posix|nt)\.mkdir"):
        frame_columns(pickle.dumps(Named(os.mkdir, str(there))))
    assert not there.exists()


def test_what_is_no_frame_is_refused():
    for bad in (b"", b"nonsense", pickle.dumps([1, 2]), pickle.dumps({"a": 1})):
        with pytest.raises(ValueError, match=r"no pickle of a data frame|no data frame"):
            frame_columns(bad)
