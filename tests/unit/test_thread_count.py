"""The number of threads comes from the config, OMP_NUM_THREADS, the container's quota or the cores, in this order."""

from pathlib import Path

import pytest

from strop import threads
from strop.threads import container_quota, threads_of


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 8 cores, whose control groups are files that a test writes; `groups` is what the system says."""
    monkeypatch.setattr(threads, "num_cores", lambda: 8)

    def write(groups: str, files: dict[str, str]) -> dict[str, Path]:
        (tmp_path / "self").write_text(groups)
        for name, text in files.items():
            (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "tree" / name).write_text(text)
        return {"cgroups": tmp_path / "tree", "membership": tmp_path / "self"}

    return write


def test_the_config_comes_first(machine):
    found = threads_of(3, {"OMP_NUM_THREADS": "2"}, **machine("0::/\n", {"cpu.max": "100000 100000\n"}))
    assert (found.number, found.source) == (3, "")


@pytest.mark.parametrize(("told", "number"), [("2", 2), (" 5 ", 5), ("4,2", 4), ("3, 1", 3)])
def test_omp_num_threads_is_obeyed_before_the_cores(machine, told, number):
    found = threads_of(None, {"OMP_NUM_THREADS": told}, **machine("0::/\n", {}))
    assert (found.number, found.source) == (number, "OMP_NUM_THREADS")


@pytest.mark.parametrize("told", ["abc", "0", "-1", "2.5", ",2"])
def test_an_omp_num_threads_that_is_no_number_is_refused_by_its_name(machine, told):
    with pytest.raises(ValueError, match=r"^OMP_NUM_THREADS=.*whole number, at least 1"):
        threads_of(None, {"OMP_NUM_THREADS": told}, **machine("0::/\n", {}))
    assert threads_of(2, {"OMP_NUM_THREADS": told}, **machine("0::/\n", {})).number == 2


@pytest.mark.parametrize("told", ["", "  "])
def test_an_empty_omp_num_threads_is_ignored(machine, told):
    found = threads_of(None, {"OMP_NUM_THREADS": told}, **machine("0::/\n", {}))
    assert (found.number, found.source) == (8, "every core that this process may use")


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1.0),
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "400000 100000\n"}, 1.5),  # the parent binds
        ("0::/not/visible\n", {"cpu.max": "300000 100000\n"}, 3.0),  # inside a container
        ("4:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "250000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 2.5),
        ("4:cpu,cpuacct:/a\n", {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ("4:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("4:cpuset:/\n", {}, None),
        ("", {}, None),
        ("0::/\n", {"cpu.max": "what is this\n"}, None),
    ],
)
def test_the_quota_of_a_container_is_read(machine, groups, files, quota):
    assert container_quota(**machine(groups, files)) == quota


@pytest.mark.parametrize(("quota", "number"), [("200000", 2), ("250000", 2), ("50000", 1), ("800000", 8)])
def test_threads_are_limited_by_the_quota(machine, quota, number):
    found = threads_of(None, {}, **machine("0::/\n", {"cpu.max": f"{quota} 100000\n"}))
    assert found.number == number
    assert ("quota" in found.source) == (number < 8)


def test_a_machine_without_control_groups_gives_its_cores(machine, tmp_path):
    assert container_quota(tmp_path / "nowhere", tmp_path / "none") is None


def test_too_many_threads_are_refused(machine, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert threads_of(256).number == 256
    with pytest.raises(ValueError, match=r"^threads=257: a run takes at most 256 .* may use 8 cores"):
        threads_of(257)
    with pytest.raises(ValueError, match=r"^OMP_NUM_THREADS=100000: "):
        threads_of(None, {"OMP_NUM_THREADS": "100000"})
    monkeypatch.setattr("os.cpu_count", lambda: 384)
    assert threads_of(384).number == 384
