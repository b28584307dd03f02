"""Every public function and class of `serving` has a caller outside tests and benchmarks."""

import ast

from callers import Module, read_modules, unreached


def test_every_public_name_of_serving_is_reached():
    assert unreached(read_modules()) == []


def modules_of(**sources):
    return {
        name.replace("__", "."): Module(name.replace("__", "."), ast.parse(text))
        for name, text in sources.items()
    }


def test_what_nothing_calls_is_found_and_so_is_what_only_the_uncalled_call():
    found = modules_of(
        serving__a="def used(): pass\ndef lost(): helper()\ndef helper(): pass\n"
        "def again(): again()\nclass Shape: pass",
        serving__b="from serving.a import used\nfrom serving import a\nROUTES = [used]\nUNUSED = [a.lost]",
        pipelines__c="from serving.b import ROUTES\nprint(ROUTES)",
    )
    assert unreached(found) == ["serving.a.Shape", "serving.a.again", "serving.a.helper", "serving.a.lost"]


def test_a_name_reached_through_its_module_or_a_package_is_called():
    found = modules_of(
        serving__a="def one(): pass\ndef two(): pass\ndef three(): pass",
        serving="from serving.a import two",
        serving__d="import serving.a as rooms\nfrom serving import two\n"
        "rooms.one()\ntwo()\nrun('serving.a:three')",
    )
    assert unreached(found) == []
