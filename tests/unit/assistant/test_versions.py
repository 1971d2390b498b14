"""Versions: what is kept of each, which one serves, and the way back."""

import pytest

from strop.assistant import DamagedVersion, Manifest, Versions, decide, first_manifest

GOOD, BAD = decide([1.0] * 60, {"sums": ([1.0] * 200, [1.0] * 200)}), decide([0.5] * 60)


def add(versions, number, parent, verdict=None):
    manifest = Manifest(
        number=number, parent=parent, model="model", origin="rounds/1@4", feedback=["a", "b"], replayed=["c"], when=1.0
    )
    with versions.adding(manifest) as folder:
        (folder / "model").mkdir()
        (folder / "model" / "weights").write_text(f"weights of {number}")
        (folder / "diff.jsonl").write_text('{"question": "q", "before": "x", "after": "y"}\n')
    if verdict is not None:
        versions.judged(number, verdict)


@pytest.fixture
def versions(tmp_path):
    made = Versions(tmp_path)
    with made.adding(first_manifest("smollm2", "smollm2")):
        pass
    made.start()
    return made


def test_a_version_comes_back_as_it_was_written(versions):
    add(versions, 1, 0, GOOD)
    manifest = versions.manifest(1)
    assert manifest.verdict == GOOD
    assert (manifest.parent, manifest.feedback, manifest.replayed) == (0, ["a", "b"], ["c"])
    assert set(manifest.files) == {"model/weights", "diff.jsonl"}
    assert versions.diff(1) == [{"question": "q", "before": "x", "after": "y"}]
    assert versions.model(0) == "smollm2"
    assert versions.model(1) == str(versions.path / "versions" / "001" / "model")


def test_promotion_and_the_way_back(versions):
    add(versions, 1, 0)
    assert versions.open_candidate() == 1
    with pytest.raises(ValueError, match="version 1 does not serve: it is not judged yet"):
        versions.promote(1)
    versions.judged(1, GOOD)
    assert (versions.serving, versions.open_candidate()) == (0, None)
    versions.promote(1)
    add(versions, 2, 1, BAD)
    with pytest.raises(ValueError, match=r"version 2 does not serve: Not promoted: it is preferred in 0\.500"):
        versions.promote(2)
    with pytest.raises(ValueError, match="version 2 never served: a rollback is to one that did: 0, 1"):
        versions.rollback(2)
    with pytest.raises(ValueError, match="has no version 7; there: 0, 1, 2"):
        versions.rollback(7)
    versions.rollback(0)
    versions.rollback(0)
    assert (versions.serving, versions.history) == (0, [0, 1, 0])
    assert versions.ancestors(2) == [2, 1, 0]


def test_a_promotion_that_a_crash_cut_off_is_finished_and_one_that_was_rolled_back_is_not(versions):
    add(versions, 1, 0, GOOD)
    assert versions.finish() == 1
    assert versions.serving == 1
    versions.rollback(0)
    assert versions.finish() is None
    assert versions.serving == 0


def test_a_damaged_version_never_serves(versions):
    add(versions, 1, 0, GOOD)
    (versions.folder(1) / "model" / "weights").write_text("other weights")
    with pytest.raises(DamagedVersion, match=r"weights is damaged.*Roll back to another one: 0"):
        versions.promote(1)
    assert versions.serving == 0


def test_a_folder_that_is_filled_halfway_is_no_version(versions):
    manifest = Manifest(number=1, parent=0, model="x", origin="x", when=0.0)
    with pytest.raises(KeyboardInterrupt), versions.adding(manifest):
        raise KeyboardInterrupt
    assert versions.numbers() == [0]


@pytest.mark.parametrize("call", ["mkdir", "symlink_to", "unlink", "rename"])
@pytest.mark.parametrize("target", ["far", "../far"])
def test_a_version_behind_a_link_is_retired_though_a_crash_came_at_any_moment(versions, monkeypatch, call, target):
    """It keeps its manifest, and where the link led is told, also after that is gone."""

    class Crash(Exception):
        pass

    def crash(*args, **kwargs):
        raise Crash

    add(versions, 1, 0)
    add(versions, 2, 1)
    folder, far = versions.folder(1), versions.path / "far"
    folder.rename(far)
    folder.symlink_to(far if target == "far" else "../far")
    with monkeypatch.context() as patched:
        patched.setattr(type(folder), call, crash)
        with pytest.raises(Crash):
            versions.retire([1, 2], "why", {"a"})
    versions.clear()
    assert versions.numbers() == [0, 1, 2]
    left = versions.retire([1, 2], "why", {"a"})
    assert (left.failed, left.beyond) == ((), (far.resolve(),))
    assert [(one.number, one.retired.why, one.feedback) for one in map(versions.manifest, (1, 2))] == [
        (1, "why", ["b"]),
        (2, "why", ["b"]),
    ]
    assert [entry.name for entry in folder.iterdir()] == ["manifest.json"]
    assert not folder.is_symlink()
    assert sorted(entry.name for entry in folder.parent.iterdir()) == ["000", "001", "002"]
    assert (far / "manifest.json").exists()
