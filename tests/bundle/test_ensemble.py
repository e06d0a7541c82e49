from __future__ import annotations

import pytest
from pydantic import ValidationError

from brainslice.bundle.ensemble import Ensemble, Member
from brainslice.bundle.model_card import model_card
from brainslice.bundle.types import GRAPH_FILE, BundleDraft, BundleInfo


def member(**changes: object) -> Member:
    fields = {
        "digest": "1" * 64,
        "backbone": "efficientnetv2-b0",
        "weights_digest": "2" * 64,
        "split_digest": "3" * 64,
        "temperature": 1.25,
    }
    return Member.model_validate(fields | changes)


def test_members_are_stored_and_read_again(draft: BundleDraft) -> None:
    ensemble = Ensemble(members=(member(), member(backbone="efficientnet-b1")), members_per_scan=1)
    info = BundleInfo.sign(draft.model_copy(update={"ensemble": ensemble}), {GRAPH_FILE: "4" * 64})
    again = BundleInfo.model_validate_json(info.to_text())
    assert again == info
    assert again.ensemble == ensemble
    assert again.digest == again.sealed_digest()


def test_a_network_alone_says_nothing_of_members(draft: BundleDraft) -> None:
    info = BundleInfo.sign(draft, {GRAPH_FILE: "4" * 64})
    assert "ensemble" not in info.to_text()


@pytest.mark.parametrize(
    "fields",
    [
        {"members": (member(),), "members_per_scan": 1},
        {"members": (member(), member()), "members_per_scan": 0},
        {"members": (member(), member()), "members_per_scan": 3},
    ],
)
def test_what_is_no_ensemble_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Ensemble.model_validate(fields)


def test_the_card_names_the_members_and_owns_up_to_an_approximate_temperature(draft: BundleDraft) -> None:
    pair = (member(), member(digest="5" * 64))
    exact = model_card(draft.model_copy(update={"ensemble": Ensemble(members=pair, members_per_scan=2)}))
    rough = model_card(draft.model_copy(update={"ensemble": Ensemble(members=pair, members_per_scan=1)}))
    for card in (exact, rough):
        assert "Ensemble of 2 networks" in card
        assert "`555555555555`" in card
    assert "approximations" in rough
    assert "approximations" not in exact
