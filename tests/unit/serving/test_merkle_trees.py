import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.watch.record.merkle import Neighbour, block_hash, climb, leaf_hash, path_of, root_of


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def by_recursion(leaves):
    """RFC 6962, section 2.1: split at the largest power of two below the number of leaves."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1
    while left * 2 < len(leaves):
        left *= 2
    return sha(b"\x01", by_recursion(leaves[:left]), by_recursion(leaves[left:]))


def test_a_leaf_and_a_node_have_prefixes_of_their_own():
    assert leaf_hash("a") == sha(b"\x00", b"a")
    a, b = leaf_hash("a"), leaf_hash("b")
    assert root_of([a]) == a
    assert root_of([a, b]) == sha(b"\x01", a, b)
    assert block_hash(b"p" * 32, a, 2) == sha(b"\x02", b"p" * 32, a, b"\0" * 7 + b"\x02")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=40), st.data())
def test_every_path_leads_to_the_root_of_the_rfc_and_no_other_leaf_does(texts, data):
    leaves = [leaf_hash(text) for text in texts]
    root = root_of(leaves)
    assert root == by_recursion(leaves)
    place = data.draw(st.integers(0, len(leaves) - 1))
    path = path_of(leaves, place)
    assert climb(leaves[place], path) == root
    assert climb(leaf_hash(texts[place] + "!"), path) != root
    assert len(path) <= (len(leaves) - 1).bit_length()


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_a_changed_path_leads_elsewhere(count):
    leaves = [leaf_hash(str(number)) for number in range(count)]
    for place in range(count):
        path = path_of(leaves, place)
        side, _ = path[0]
        wrong = [Neighbour(side, leaf_hash("other")), *path[1:]]
        assert climb(leaves[place], wrong) != root_of(leaves)
