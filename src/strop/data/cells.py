"""Cells of a data set as JSON can hold them: names for the numbers of classes, ISO texts for dates.

A data set of Hugging Face describes its columns by features. Their form as dicts stands in the objects of `datasets`,
in the folders that it saves, and in the Parquet files that it writes, so none of them needs the package here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np

from strop.data.rows import Row


def plain_row(number: int, record: Mapping[str, Any], features: Mapping[str, Any]) -> Row:
    """The row with its cells made plain. It is broken where a class has no name."""
    try:
        return Row(number, {name: plain(value, features.get(name)) for name, value in record.items()})
    except ValueError as error:
        return Row(number, flaw=str(error))


def plain(value: Any, feature: object = None) -> Any:
    """The value in texts, numbers, lists and dicts, as far as it can be said in them.

    The number of a class becomes the class's name; -1, which says that there is none, becomes None. Dates and times
    become ISO 8601, decimals texts, arrays lists. `feature` describes the value, or is None.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel":
        return _class_name(value, feature.get("names"))
    match value:
        case Mapping():
            inner = feature if isinstance(feature, Mapping) else {}
            return {key: plain(item, inner.get(key)) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, _of_items(feature)) for item in value]
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case Decimal():
            return str(value)
    return value


def _class_name(value: Any, names: Any) -> Any:
    if not names or not isinstance(value, int) or value == -1:
        return None if value == -1 else value
    if not 0 <= value < len(names):
        raise ValueError(f"there is no class {value}: the {len(names)} classes are counted from 0")
    return names[value]


def _of_items(feature: object) -> object:
    """The feature of a list's items: older features write a list of it."""
    if isinstance(feature, list):
        return feature[0] if feature else None
    return feature.get("feature") if isinstance(feature, Mapping) else None
