"""Tasks from a file or from rows of any origin, and a train/test split by problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from strop.data.arrow import SPLITS, STATE, of_parquet, of_saved
from strop.data.broken import Broken, leaving, refusal
from strop.data.cells import plain_row
from strop.data.columns import Columns
from strop.data.progress import Tell, to_stderr
from strop.data.rows import UTF_8, Row, Table, of_csv, of_json_lines, of_text
from strop.streams import stream
from strop.types import Task, shown

JSON_LINES, SEPARATED = (".jsonl", ".ndjson", ".json"), {".csv": ",", ".tsv": "\t"}
ENDINGS = (".jsonl", ".csv", ".tsv", ".parquet", ".txt")
OnBroken: TypeAlias = Literal["refuse", "leave out"]
Check: TypeAlias = "Callable[[Task], object] | None"


class Described(Protocol):
    """What a data set says of its columns: `features` of the package `datasets`."""

    def to_dict(self) -> Mapping[str, Any]: ...


@runtime_checkable
class DescribedRows(Protocol):
    """Rows whose columns are described, such as a `datasets.Dataset`."""

    @property
    def features(self) -> Described | None: ...


def from_file(
    path: str | Path,
    *,
    prompt: str | None = None,
    answer: str | None = None,
    id: str | None = None,
    broken: OnBroken = "refuse",
    encoding: str | None = None,
    separator: str | None = None,
    check: Check = None,
    tell: Tell = to_stderr,
) -> list[Task]:
    """One task per row of a file, which is read by how its name ends.

        strop.data.from_file("mail.csv", prompt="text", answer="label")

    .jsonl      an object a line (also .ndjson, or .json with an object a line)
    .csv, .tsv  columns that the first line names; an empty cell is None
    .parquet    columns, by the package pyarrow: pip install "strop[data]"
    .txt        each line is a prompt
    a folder    that `Dataset.save_to_disk` of Hugging Face wrote, by pyarrow too

    prompt     the column of the prompt: a text, or a list of messages; by default `prompt` or `messages`
    answer     the column of the answer; by default `answer`, if there is one
    id         the column of the id; by default `id`, else ids are the numbers of lines, or of rows, from 1
    broken     what to do with rows that are no tasks: "refuse" the file, naming them, or "leave out" and tell which
    encoding   of a text file; by default UTF-8, with or without a byte order mark
    separator  between the cells of a .csv; by default a comma
    check      is called with each task; a ValueError that it raises makes the row a broken one
    tell       is given a text that names what is left out; by default it goes to stderr

    Every other column becomes `Task.data`. Empty lines are no rows. Raises ValueError for a column that is not there,
    for broken rows, and where no task is left.
    """
    table = _table(Path(path), encoding, separator)
    return _tasks(table, Columns(prompt, answer, id), broken, check, tell)


def from_rows(
    rows: Iterable[Mapping[str, Any]],
    *,
    prompt: str | None = None,
    answer: str | None = None,
    id: str | None = None,
    broken: OnBroken = "refuse",
    check: Check = None,
    tell: Tell = to_stderr,
) -> list[Task]:
    """One task per row: a `datasets.Dataset`, a list of dicts, or any other iterable of mappings.

        strop.data.from_rows(datasets.load_dataset("imdb", split="train"), prompt="text", answer="label")

    The arguments are those of `from_file`; rows are counted from 1. Where `features` of the package `datasets` describe
    a column as classes, the names of the classes stand for their numbers.
    """
    return _tasks(_table_of(rows), Columns(prompt, answer, id), broken, check, tell)


def is_saved(folder: str | Path) -> bool:
    """Whether `Dataset.save_to_disk` wrote this folder."""
    return any((Path(folder) / name).is_file() for name in (STATE, SPLITS))


def train_test_split(
    tasks: Sequence[Task], fraction: float, seed: int = 0, problem: Callable[[Task], str] | None = None
) -> tuple[list[Task], list[Task]]:
    """`(training, held out)`, where `fraction` of the problems is held out, with all their tasks.

    Tasks have the same problem if `problem(task)` is equal: by default `task.data["problem"]` (3 + 5 and 5 + 3 may
    both say "3+5" there), else the prompt's text without regard to case and spacing. Order is kept.
    """
    key = problem or same_problem
    problems = sorted({key(task) for task in tasks})
    num_held_out = round(fraction * len(problems))
    if not 0 < num_held_out < len(problems):
        raise ValueError(
            f"fraction={fraction} holds out {num_held_out} of {len(problems)} different problems: "
            "both parts need at least one."
        )
    order = stream(seed, "tasks/split").permutation(len(problems))
    held_out = {problems[i] for i in order[:num_held_out]}
    return [task for task in tasks if key(task) not in held_out], [task for task in tasks if key(task) in held_out]


def same_problem(task: Task) -> str:
    """The default key of a task's problem: tasks with equal keys are never split."""
    if "problem" in task.data:
        return str(task.data["problem"])
    text = task.prompt if isinstance(task.prompt, str) else " ".join(message["content"] for message in task.prompt)
    return " ".join(text.casefold().split())


def _table(path: Path, encoding: str | None, separator: str | None) -> Table:
    """The rows of a file. Raises ValueError for an option that it does not have."""
    kind = path.suffix.lower()
    is_text = kind in (*JSON_LINES, *SEPARATED, ".txt") and not path.is_dir()
    if encoding is not None and not is_text:
        raise ValueError(f"encoding={encoding!r}: {path} is no text file.")
    if separator is not None and (kind != ".csv" or len(separator) != 1):
        raise ValueError(f"separator={separator!r}: it is one character, and belongs to a .csv.")
    if path.is_dir() or kind == ".parquet":
        return of_saved(path) if path.is_dir() else of_parquet(path)
    if kind in JSON_LINES:
        return of_json_lines(path, encoding or UTF_8)
    if kind in SEPARATED:
        return of_csv(path, encoding or UTF_8, separator or SEPARATED[kind])
    if kind == ".txt":
        return of_text(path, encoding or UTF_8)
    raise ValueError(
        f"{path}: tasks are read from {', '.join(ENDINGS)}, or a folder that Dataset.save_to_disk wrote. Save it as "
        "one of these, or give its rows to strop.data.from_rows."
    )


def _table_of(rows: Iterable[Mapping[str, Any]]) -> Table:
    if isinstance(rows, str | Path):
        raise ValueError(f"from_rows takes rows: the file {str(rows)!r} is read by strop.data.from_file.")
    if isinstance(rows, Mapping):
        names = ", ".join(map(repr, rows)) or "nothing"
        raise ValueError(f"from_rows takes the rows of one data set, and this holds {names}: give one of them.")
    described = rows.features if isinstance(rows, DescribedRows) else None
    features = described.to_dict() if described else {}
    return Table("rows", "row", tuple(features), _numbered(rows, features))


def _numbered(rows: Iterable[Mapping[str, Any]], features: Mapping[str, Any]) -> Iterator[Row]:
    for number, record in enumerate(rows, start=1):
        if isinstance(record, Mapping):
            yield plain_row(number, record, features)
        else:
            yield Row(number, flaw=f"a row is a dict of its columns, not {shown(record)}")


def _tasks(table: Table, columns: Columns, broken: OnBroken, check: Check, tell: Tell) -> list[Task]:
    """The tasks of a table. Broken rows are all looked at before anything is said."""
    if broken not in ("refuse", "leave out"):
        raise ValueError(f'broken={broken!r}: it is "refuse" or "leave out".')
    if table.columns and (flaw := columns.flaw(table.columns)):
        raise ValueError(f"{table.name}: {flaw}.")
    numbers: dict[str, int] = {}
    tasks, flaws, num_rows = list[Task](), list[Broken](), 0
    for row in table.rows:
        num_rows += 1
        try:
            task = columns.task(row)
            if check is not None:
                check(task)
            if task.id in numbers:
                raise ValueError(f"the id {task.id!r} is already used in {table.unit} {numbers[task.id]}")
        except ValueError as error:
            flaws.append(Broken(row.number, str(error).removesuffix(".")))
            continue
        numbers[task.id] = row.number
        tasks.append(task)
    if flaws and broken == "refuse":
        raise ValueError(refusal(table, flaws, num_rows))
    if flaws:
        tell(leaving(table, flaws, num_rows))
    if not tasks:
        raise ValueError(f"{table.name} holds no task: each has at least a prompt.")
    return tasks
