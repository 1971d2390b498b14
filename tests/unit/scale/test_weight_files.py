"""Weights as files: to the bit, or refused; and a key that only their owner reads."""

import os
import stat

import pytest

import fleet
from strop.runs.state import same
from strop.scale.weight_files import key_in, make_key, read, remove_others, write
from strop.scale.weights import WeightsRefused


@pytest.fixture
def policy():
    return fleet.config().policy.build(seed=0, dtype="float32", device="cpu")[0]


def test_what_is_read_is_what_was_written(tmp_path, policy):
    sha256 = write(tmp_path, policy)
    assert same(read(tmp_path, sha256), policy.state_dict())
    assert [file.name for file in tmp_path.iterdir()] == [f"{sha256}.safetensors"]


def test_equal_weights_have_one_name_and_others_another(tmp_path, policy):
    first = write(tmp_path, policy)
    assert write(tmp_path, policy) == first
    other = fleet.config().policy.build(seed=1, dtype="float32", device="cpu")[0]
    second = write(tmp_path, other)
    assert second != first
    remove_others(tmp_path, second)
    assert [file.stem for file in tmp_path.iterdir()] == [second]


def test_only_weights_are_removed(tmp_path, policy):
    (tmp_path / "mine.safetensors").touch()
    sha256 = write(tmp_path, policy)
    remove_others(tmp_path, sha256)
    assert (tmp_path / "mine.safetensors").exists()


def test_what_a_killed_learner_left_is_written_over_and_removed(tmp_path, policy):
    (tmp_path / f".{'0' * 64}").write_bytes(b"half")
    (tmp_path / ".mine").touch()
    sha256 = write(tmp_path, policy)
    (tmp_path / f".{sha256}").write_bytes(b"half")
    assert write(tmp_path, policy) == sha256
    remove_others(tmp_path, sha256)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".mine", f"{sha256}.safetensors"]


def test_weights_and_their_folder_are_their_owners_alone(tmp_path, policy):
    before = os.umask(0)
    try:
        make_key(tmp_path / "weights")
        sha256 = write(tmp_path / "weights", policy)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "weights").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "weights" / f"{sha256}.safetensors").stat().st_mode) == 0o600


def test_a_byte_that_changed_is_noticed(tmp_path, policy):
    sha256 = write(tmp_path, policy)
    file = tmp_path / f"{sha256}.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsRefused, match=r"are damaged: the sha256 of the file is"):
        read(tmp_path, sha256)


def test_what_is_missing_or_no_state_is_refused(tmp_path):
    import hashlib

    with pytest.raises(WeightsRefused, match="cannot be read from"):
        read(tmp_path, "0" * 64)
    sha256 = hashlib.sha256(b"hello").hexdigest()
    (tmp_path / f"{sha256}.safetensors").write_bytes(b"hello")
    with pytest.raises(WeightsRefused, match="are no state of a policy"):
        read(tmp_path, sha256)


def test_the_key_is_new_at_each_start_and_its_owners_alone(tmp_path):
    first = make_key(tmp_path / "weights")
    second = make_key(tmp_path / "weights")
    assert first != second == key_in(tmp_path / "weights")
    assert stat.S_IMODE((tmp_path / "weights" / "key").stat().st_mode) == 0o600
    with pytest.raises(ValueError, match="no server loads weights from there"):
        key_in(tmp_path)
