from strop.recipes.arithmetic import rewards, sum_tasks


def test_a_sum_and_its_mirror_are_in_the_same_split():
    train, held_out = sum_tasks("train"), sum_tasks("held_out")
    assert len(train) + len(held_out) == 100
    problems = [{tuple(sorted(task.id.split("+"))) for task in side} for side in (train, held_out)]
    assert not problems[0] & problems[1]
    assert (len(problems[0]), len(problems[1])) == (44, 11)


def test_the_answer_of_every_task_is_its_sum():
    for task in sum_tasks("train") + sum_tasks("held_out"):
        a, b = task.id.split("+")
        assert task.answer == str(int(a) + int(b))
        assert f"What is {a} + {b}?" in task.prompt[-1]["content"]


def test_the_reward_is_one_part_that_can_be_verified():
    assert [weight for _, weight in rewards().values()] == [1.0]
