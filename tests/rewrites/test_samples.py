"""Every rule, on its own samples: it applies, and what it makes has the value of what was there."""

from __future__ import annotations

from typing import Any

import pytest
from simplifying import assert_same, special

from arrayad.readers.simplify import Rules, simplified
from arrayad.rewriting import REWRITES, Rewrite, Sample
from arrayad.tracing import record

EVERY = list(dict.fromkeys(rule for rules in REWRITES.values() for rule in rules))
CASES = [pytest.param(rule, sample, id=f"{rule.doc[:40]}-{i}") for rule in EVERY for i, sample in enumerate(rule.samples)]


def only(rule: Rewrite) -> Rules:
    """No rule but one, and those without which no Bundle can be replaced."""
    rules = Rules(exact=rule.exact, reorder=rule.reorders)
    rules.allows = lambda found: found is rule or not found.samples  # type: ignore[method-assign]
    return rules


@pytest.mark.parametrize("rule, sample", CASES)
def test_a_rule_applies_to_its_samples_and_keeps_their_value(rule: Rewrite, sample: Sample) -> None:
    before = record(sample.function, list(sample.avals))
    rules = only(rule)
    after = simplified(before, rules, {})
    assert rules.applied[rule]
    for seed in range(5):
        exact = rule.exact and not rule.reorders
        operands: list[Any] = [special(aval, seed + 7 * k, finite=not exact) for k, aval in enumerate(sample.avals)]
        assert_same(before, after, operands, rtol=0.0 if exact else 1e-6)


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.doc[:40])
def test_every_rule_has_a_sample_or_belongs_to_rows_that_only_rules_make(rule: Rewrite) -> None:
    assert rule.samples or all(pattern[0].name in ("recall", "recall_elements", "pick", "scan") for pattern in rule.patterns)
