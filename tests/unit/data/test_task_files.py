import pytest

from strop.data.tasks import from_file, same_problem, train_test_split
from strop.types import Task


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "tasks.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_fields_become_tasks(file):
    path = file(
        '{"id": 7, "prompt": "What is 3 + 5?", "answer": 8, "level": 1, "tags": ["sum"]}\n'
        "\n"
        '{"messages": [{"role": "user", "content": "你好"}]}\r\n'
    )
    assert from_file(path) == [
        Task("7", "What is 3 + 5?", "8", {"level": 1, "tags": ["sum"]}),
        Task("3", [{"role": "user", "content": "你好"}]),
    ]


def test_a_byte_order_mark_is_no_part_of_the_data(file):
    assert from_file(file(b'\xef\xbb\xbf{"prompt": "hi"}')) == [Task("1", "hi")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "x"', r"this is not JSON \(Expecting ',' delimiter, column"),
        ('["prompt"]', "a line is a JSON object .* not list"),
        ('{"text": "x"}', r'either a "prompt" or "messages" \(found the fields: text\)'),
        ('{"prompt": "x", "messages": []}', "either"),
        ('{"prompt": "  "}', "not empty"),
        ('{"prompt": 3}', "a text, or a list of messages"),
        ('{"prompt": "x", "answer": true}', '"answer" is a text or a number, not true'),
        ('{"prompt": "x", "answer": null}', '"answer" is a text or a number, not null'),
        ('{"prompt": "x", "level": NaN}', "NaN is not JSON"),
        ('{"messages": [{"role": "bot", "content": "x"}]}', "system | user | assistant"),
        ('{"messages": [{"role": "user"}]}', '"content": text'),
        ('{"messages": [{"role": "assistant", "content": "x"}]}', "nothing left to answer"),
        ('{"id": "a", "prompt": "again"}', "the id 'a' is already used in line 1"),
        (b'{"prompt": "\xff"}', "not UTF-8"),
    ],
)
def test_a_bad_line_is_named_with_its_number(file, line, message):
    line = line if isinstance(line, bytes) else line.encode()
    with pytest.raises(ValueError, match=f"tasks.jsonl, line 2: .*{message}"):
        from_file(file(b'{"id": "a", "prompt": "fine"}\n' + line))


def test_a_file_without_tasks_is_an_error(file):
    with pytest.raises(ValueError, match="holds no task"):
        from_file(file("\n\n"))


def test_a_split_holds_out_whole_problems_and_keeps_the_order():
    tasks = [
        Task(f"{a}+{b}", f"{a}+{b}", data={"problem": f"{min(a, b)}+{max(a, b)}"}) for a in range(4) for b in range(4)
    ]
    train, held_out = train_test_split(tasks, fraction=0.3, seed=1)
    assert len({same_problem(task) for task in held_out}) == 3  # of 10
    assert not {same_problem(task) for task in train} & {same_problem(task) for task in held_out}
    assert sorted(train + held_out, key=tasks.index) == tasks
    assert train == sorted(train, key=tasks.index)
    assert train_test_split(tasks, fraction=0.3, seed=1) == (train, held_out)
    assert train_test_split(tasks, fraction=0.3, seed=2) != (train, held_out)


def test_prompts_that_differ_in_case_and_spacing_are_one_problem():
    assert same_problem(Task("1", "What  is IT?")) == same_problem(
        Task("2", [{"role": "user", "content": "what is it?"}])
    )


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.9, 1.0])
def test_a_split_with_an_empty_side_is_an_error(fraction):
    with pytest.raises(ValueError, match="both parts need at least one"):
        train_test_split([Task("1", "a"), Task("2", "b")], fraction)
