"""Every identity of matrix algebra, on its own samples: it applies, and what it makes has the value of what was there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from simplifying import assert_same, special

from arrayad.readers.simplify import simplified
from arrayad.rewriting import Rewrite, Sample
from arrayad.symbolic.matrix.algebra import Algebra
from arrayad.symbolic.matrix.parts import IDENTITIES
from arrayad.tracing import record

EVERY = list(dict.fromkeys(rule for rules in IDENTITIES.values() for rule in rules))
CASES = [pytest.param(rule, sample, id=f"{rule.doc[:40]}-{i}") for rule in EVERY for i, sample in enumerate(rule.samples)]


class Only(Algebra):
    """No rule but one."""

    def __init__(self, rule: Rewrite) -> None:
        super().__init__()
        self.rule = rule

    def allows(self, rule: Rewrite) -> bool:
        return rule is self.rule


def operand(aval: Any, seed: int) -> Any:
    """Positive numbers; square matrices are regular, integers labels."""
    if aval.dtype.kind == "i":
        return np.random.default_rng(seed).integers(0, 3, aval.shape)
    found = special(aval, seed, finite=True)
    return found + 2.0 * np.eye(len(found)) if len(aval.shape) == 2 and aval.shape[0] == aval.shape[1] else found


@pytest.mark.parametrize("rule, sample", CASES)
def test_a_rule_applies_to_its_samples_and_keeps_their_value(rule: Rewrite, sample: Sample) -> None:
    before = record(sample.function, list(sample.avals))
    algebra = Only(rule)
    after = simplified(before, algebra, {})
    assert algebra.applied[rule]
    for seed in range(5):
        assert_same(before, after, [operand(aval, seed + 7 * k) for k, aval in enumerate(sample.avals)], rtol=1e-11)


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.doc[:40])
def test_every_rule_has_a_sample_and_claims_no_more_than_real_numbers(rule: Rewrite) -> None:
    assert rule.samples and not rule.exact
