from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.decision.verdict import Reason, Verdict, VerdictInputs, decide
from brainslice.labels import LabelSet

LABELS = LabelSet()

# Made inside the tests: the check of types draws elements at random, which no strategy may.
anything = st.fixed_dictionaries(
    {
        "tumour": st.booleans(),
        "input_faults": st.lists(st.sampled_from(list(Reason)[:4]), max_size=2, unique=True).map(tuple),
        "prediction_set": st.none() | st.lists(st.sampled_from(LABELS.names), unique=True).map(tuple),
        "near_threshold": st.booleans(),
        "disagreement": st.booleans(),
    }
)


@pytest.mark.parametrize(
    ("tumour", "possible", "verdict", "reasons"),
    [
        (True, None, Verdict.TUMOUR, ()),
        (False, None, Verdict.NO_TUMOUR, ()),
        (True, ("glioma",), Verdict.TUMOUR, ()),
        (True, ("glioma", "meningioma", "pituitary"), Verdict.TUMOUR, ()),
        (False, ("no_tumor",), Verdict.NO_TUMOUR, ()),
        (True, ("glioma", "no_tumor"), Verdict.REFER, (Reason.UNDECIDED,)),
        (False, ("no_tumor", "pituitary"), Verdict.REFER, (Reason.UNDECIDED,)),
        (True, (), Verdict.REFER, (Reason.EMPTY_SET,)),
        (True, ("no_tumor",), Verdict.REFER, (Reason.CONTRADICTION,)),
        (False, ("glioma",), Verdict.REFER, (Reason.CONTRADICTION,)),
    ],
)
def test_set_with_tumour_and_healthy_refers(
    *, tumour: bool, possible: tuple[str, ...] | None, verdict: Verdict, reasons: tuple[Reason, ...]
) -> None:
    assert decide(VerdictInputs(tumour, prediction_set=possible), LABELS) == (verdict, reasons)


@given(anything)
def test_referral_needs_a_reason(parts: dict[str, Any]) -> None:
    found = VerdictInputs(**parts)
    verdict, reasons = decide(found, LABELS)
    assert (verdict is Verdict.REFER) == bool(reasons)
    if not reasons:
        assert (verdict is Verdict.TUMOUR) == found.tumour


@given(anything)
def test_all_reasons_are_listed_with_input_faults_first(parts: dict[str, Any]) -> None:
    found = VerdictInputs(**parts)
    _, reasons = decide(found, LABELS)
    assert reasons[: len(found.input_faults)] == found.input_faults
    assert (Reason.NEAR_THRESHOLD in reasons) == found.near_threshold
    assert (Reason.DISAGREEMENT in reasons) == found.disagreement
    assert len(set(reasons)) == len(reasons)


def test_messages_are_unique_and_short() -> None:
    words = [reason.message for reason in Reason]
    assert len(set(words)) == len(words)
    assert all(word and "\n" not in word and len(word) < 100 for word in words)


@pytest.mark.parametrize(
    ("possible", "verdict", "reasons"),
    [
        (None, Verdict.CLASS, ()),
        (("glioma",), Verdict.CLASS, ()),
        (("glioma", "meningioma"), Verdict.CLASS, ()),
        ((), Verdict.REFER, (Reason.EMPTY_SET,)),
    ],
)
def test_without_a_healthy_class_the_verdict_is_a_class(
    possible: tuple[str, ...] | None, verdict: Verdict, reasons: tuple[Reason, ...]
) -> None:
    labels = LabelSet(("glioma", "meningioma"), None)
    assert decide(VerdictInputs(None, prediction_set=possible), labels) == (verdict, reasons)
    rejected = VerdictInputs(None, input_faults=(Reason.FLAT,), prediction_set=possible)
    assert decide(rejected, labels)[0] is Verdict.REFER
