#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/threat-model: what it must not let pass, in copies of the tree's threats.json."""
import copy
import importlib.machinery
import importlib.util
import os
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from points import run_all, test  # noqa: E402

PATH = os.path.join(HERE, "../../scripts/threat-model")
LOADER = importlib.machinery.SourceFileLoader("threat_model", os.path.realpath(PATH))
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("threat_model", LOADER))
LOADER.exec_module(tool)
MODEL = tool.load()


def changed(change):
    """What the check says of the model with the change."""
    model = copy.deepcopy(MODEL)
    change(model)
    return "\n".join(tool.check(model))


def wants(text, change):
    said = changed(change)
    assert text in said, f"{text!r} is not in {said!r}"


@test
def as_it_is():
    """the tree's own file and pages are right"""
    assert not tool.check(MODEL), tool.check(MODEL)


@test
def evidence_that_is_not_there():
    """a test, target or patch that does not exist"""
    for name in ("lab:exits_nothing", "unit:kernel/nothing", "fuzz:kernel-nothing", "seeded:99-nothing",
                 "service:nothing", "soak:nothing", "elsewhere:attestd"):
        wants("there is no " + name, lambda m, name=name: m["threats"][0]["evidence"].append(name))


@test
def nothing_to_show():
    """mitigated without evidence; partly without what is left"""
    wants("nothing shows it", lambda m: m["threats"][0].update(evidence=[]))
    wants("does not say what is left", lambda m: m["threats"][0].update(status="partly", residual=""))


@test
def names_that_lead_nowhere():
    """unknown actor, asset, boundary, flow; an identifier twice"""
    for key in ("actor", "asset", "boundary"):
        wants(f"no {key} nobody", lambda m, key=key: m["threats"][0].update({key: "nobody"}))
    wants("no flow nowhere", lambda m: m["boundaries"][0].update(flow="nowhere"))
    wants("is there twice", lambda m: m["threats"].append(m["threats"][0]))
    wants("there is no threat X-99", lambda m: m["protection"]["rows"][0]["threats"].append("X-99"))


@test
def schema():
    """keys and values that the schema does not know"""
    wants("Additional properties", lambda m: m["threats"][0].update(more=1))
    wants("is not one of", lambda m: m["threats"][0].update(stride="X"))
    wants("is a required property", lambda m: m["threats"][0].pop("mechanism"))


@test
def security_policy():
    """SECURITY.md: a threat that is not there, a claim without one, no claims"""
    text = tool.policy_text()
    assert not tool.check(MODEL, text)
    said = "\n".join(tool.check(MODEL, text.replace("<!-- end", "- **Magic** protects.\n<!-- end") + "\nSee Z-99."))
    assert "there is no threat Z-99" in said and "no threat is named by: - **Magic**" in said, said
    assert "P-02 leads nowhere" in "\n".join(tool.check(MODEL, text.replace("\n[P-02]: ", "\n[P-2]: ")))
    assert "marks of its claims" in "\n".join(tool.check(MODEL, text.replace("<!-- claims -->", "")))


@test
def controls():
    """controls that name what there is not, and what their schema does not know"""
    for text, change in (("no role nobody", {"owner": "nobody"}), ("no component c", {"components": ["c"]}),
                         ("no catalog x", {"maps": {"x": ["a"]}}), ("there is no threat X-99", {"threats": ["X-99"]}),
                         ("there is no lab:nothing", {"tests": ["lab:nothing"]}),
                         ("Additional properties", {"more": 1})):
        model = tool.load("controls.json", tool.AUDIT)
        model["controls"][0].update(change)
        said = "\n".join(tool.check(MODEL, controls=model))
        assert text in said, f"{text!r} is not in {said!r}"


@test
def pages_that_lag_behind():
    """a page that says something else than the file"""
    wants("threats.md is not what threats.json says", lambda m: m["threats"][0].update(threat="Another one."))


@test
def tests_that_did_not_run():
    """a test that failed, did not run or skipped all is told, one that passed is not"""
    threat = {"id": "X-99", "evidence": ["lab:a", "unit:r/b", "fuzz:t", "service:c", "vmm:d", "lab:gone", "lab:bad",
                                             "lab:part", "lab:none"]}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        with open(path, "w", encoding="utf-8") as f:
            f.write("  ok    a on stock KVM    3 passed\n  ok    r/b_test   2 passed\n"
                    "ok - t: 1 past finds\n  ok    service/c.py  1 passed\n  ok    vmm/d_test  1 passed\n"
                    "  ok    bad   1 passed\n  FAIL  bad on stock KVM  0 passed\n"
                    "  ok    part  12 passed, 2 skipped    0.1 s\n  ok    none  2 passed, 2 skipped\n")
        said = tool.ran({"threats": [threat]}, [path])
    assert said == [f"X-99: lab:{name} did not run, or failed" for name in ("gone", "bad", "none")], said


sys.exit(run_all())
