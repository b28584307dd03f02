"""A bundle comes back as it was written, or is refused; a crash leaves no half of one."""

import numpy as np
import polars as pl
import pytest

from models.errors import BundleError
from models.store import bundles


def write(folder, **options):
    return bundles.write(folder, "churn", 2, {"rounds": 3, "names": ["a"]}, **options)


def test_every_part_comes_back(tmp_path):
    table = pl.DataFrame({"sku": ["a", "b"], "value": [1.5, None]})
    folder = write(
        tmp_path / "deep" / "churn",
        arrays={"knots": np.array([0.1, 0.2]), "ids": np.array(["x", "牧"])},
        tables={"skus": table},
        texts={"booster": "tree\n云"},
        files=lambda inside: (inside / "own.bin").write_bytes(b"\x00"),
    )
    found = bundles.read(folder, "churn", 2)
    assert found.document == {"rounds": 3, "names": ["a"]}
    assert found.arrays["knots"].tolist() == [0.1, 0.2]
    assert found.arrays["ids"].tolist() == ["x", "牧"]
    assert found.table("skus").equals(table)
    assert found.text("booster") == "tree\n云"
    assert (folder / "own.bin").read_bytes() == b"\x00"


def test_a_newer_bundle_replaces_the_whole_older_one(tmp_path):
    folder = write(tmp_path / "churn", texts={"booster": "old"})
    write(folder)
    with pytest.raises(BundleError, match="text booster cannot be read"):
        bundles.read(folder, "churn", 2).text("booster")


def test_a_crash_while_writing_leaves_the_older_one(tmp_path):
    folder = write(tmp_path / "churn", texts={"booster": "old"})

    def dies(_):
        raise MemoryError

    with pytest.raises(MemoryError):
        write(folder, texts={"booster": "new"}, files=dies)
    assert bundles.read(folder, "churn", 2).text("booster") == "old"
    write(folder, texts={"booster": "new"})
    assert bundles.read(folder, "churn", 2).text("booster") == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["churn"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "bundle.json").unlink(), "missing or unfinished"),
        (lambda folder: (folder / "bundle.json").write_text("{"), "missing or unfinished"),
        (lambda folder: (folder / "bundle.json").write_text("[]"), "missing or unfinished"),
        (lambda folder: (folder / "arrays.npz").write_bytes(b"PK"), "is damaged"),
        (lambda folder: (folder / "bundle.json").write_text('{"kind": "churn", "format": 2}'), "is damaged"),
        (
            lambda folder: (folder / "bundle.json").write_text('{"kind": "churn", "format": 1}'),
            "is churn format 1, wanted churn format 2; train again",
        ),
        (
            lambda folder: (folder / "bundle.json").write_text('{"format": 2}'),
            "is None format 2, wanted churn",
        ),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path, spoil, said):
    folder = write(tmp_path / "churn", arrays={"knots": np.zeros(2)})
    spoil(folder)
    with pytest.raises(BundleError, match=said):
        bundles.read(folder, "churn", 2)


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    folder = write(tmp_path / "churn")
    np.savez(folder / "arrays.npz", evil=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError, match="is damaged"):
        bundles.read(folder, "churn", 2)


def test_what_a_family_cannot_use_is_a_damaged_bundle(tmp_path):
    found = bundles.read(write(tmp_path / "churn"), "churn", 2)
    assert found.build(lambda bundle: bundle.document["rounds"]) == 3
    with pytest.raises(BundleError, match=r"is damaged \(KeyError\('depth'\)\); train again"):
        found.build(lambda bundle: bundle.document["depth"])
