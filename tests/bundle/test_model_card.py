from __future__ import annotations

import pytest
import yaml

from brainslice.bundle.fields import StoredConformalSets, StoredOodDetector
from brainslice.bundle.model_card import render_model_card, updated_card
from brainslice.bundle.types import BundleDraft


def front_matter(card: str) -> dict[str, object]:
    opening, matter, _ = card.split("---\n", 2)
    assert opening == ""
    read: dict[str, object] = yaml.safe_load(matter)
    return read


def marked(draft: BundleDraft, **marks: bool) -> BundleDraft:
    return draft.model_copy(update={"provenance": draft.provenance.model_copy(update=marks)})


def test_front_matter_is_yaml(draft: BundleDraft) -> None:
    read = front_matter(render_model_card(draft))
    assert read["license"] == "mit"
    assert read["pipeline_tag"] == "image-classification"
    assert read["model_name"] == draft.name


def test_the_front_matter_names_data_metrics_and_results(draft: BundleDraft) -> None:
    lines = [
        "accuracy: 0.879 [0.834, 0.914]",
        "balanced accuracy: 0.877",
        "macro F1: 0.881",
        "ECE: 0.019 [0.000, 0.038]",
    ]
    card = render_model_card(draft, lines)
    for written in (card, updated_card(card, draft, draft)):
        read = front_matter(written)
        assert read["datasets"] == [draft.provenance.dataset]
        assert read["metrics"] == ["accuracy", "f1", "roc_auc", "ece"]
        index = read["model-index"]
        assert isinstance(index, list)
        (entry,) = index
        (result,) = entry["results"]
        values = {metric["type"]: metric["value"] for metric in result["metrics"]}
        assert values == {"accuracy": 0.879, "f1": 0.881, "ece": 0.019}
    assert front_matter(render_model_card(draft))["model-index"] == [{"name": draft.name, "results": []}]


@pytest.mark.parametrize("name", ["a: b", "- x", "yes", '"quoted" #1', "---", "Kopf № 7 😀", "{curly} [square]"])
def test_names_are_escaped_in_the_front_matter(draft: BundleDraft, name: str) -> None:
    assert front_matter(render_model_card(draft.model_copy(update={"name": name})))["model_name"] == name


def test_every_card_states_research_use_only(draft: BundleDraft) -> None:
    assert "**Research use only**: not a medical device" in render_model_card(draft)


@pytest.mark.parametrize("mark", ["leaky", "phantom"])
def test_warnings_are_text_and_tags(draft: BundleDraft, mark: str) -> None:
    with_mark, without = render_model_card(marked(draft, **{mark: True})), render_model_card(draft)
    assert f"**{mark.capitalize()}.**" in with_mark
    assert f"**{mark.capitalize()}.**" not in without
    tags = front_matter(with_mark)["tags"]
    assert isinstance(tags, list)
    assert mark in tags


def test_card_states_the_provenance(draft: BundleDraft) -> None:
    card = render_model_card(draft)
    told = (
        "drawn",
        "clean",
        "quick",
        "seed: 7",
        "30 scans of 10 groups",
        "efficientnetv2-b0",
        "1.25",
        "n = 12",
    )
    assert [word for word in told if word not in card] == []


def test_card_of_an_untested_model(draft: BundleDraft) -> None:
    assert "Not tested" in render_model_card(draft)
    assert "Not tested" in render_model_card(draft, [])


def test_results_are_escaped_lines(draft: BundleDraft) -> None:
    card = render_model_card(draft, ["accuracy 91.2 % (89.0 to 93.1), n = 1,404", "first\n## second"])
    assert "- accuracy 91.2 % (89.0 to 93.1), n = 1,404\n- first \\#\\# second\n" in card
    assert "Not tested" not in card
    assert "## second" not in card.replace("\\#", "")


def test_card_is_deterministic(draft: BundleDraft) -> None:
    assert render_model_card(draft, ["x"]) == render_model_card(draft, ["x"])


def test_updated_card_keeps_results_and_names_their_threshold(draft: BundleDraft) -> None:
    found = ("accuracy: 0.9 [0.8, 0.95]",)
    card = render_model_card(draft, found)
    later = draft.model_copy(update={"threshold": 0.3})
    amended = updated_card(card, draft, later)
    assert "= 0.3 on" in amended
    assert r"- accuracy: 0.9 \[0.8, 0.95\]" in amended
    assert "measured at a threshold of 0.5" in amended
    assert amended.index("## Test scans") < amended.index("## Limits")
    assert updated_card(card, draft, draft) == card
    assert updated_card(render_model_card(draft), draft, draft) == render_model_card(draft)


def test_other_cards_are_replaced(draft: BundleDraft) -> None:
    assert updated_card("no card", draft, draft) == render_model_card(draft)


def test_card_lists_referral_rules(draft: BundleDraft) -> None:
    sets = StoredConformalSets(
        method="lac", coverage=0.9, quantiles=(0.2, 0.9, None, 0.1), counts=(9, 12, 4, 20), groups=(3, 12, 2, 7)
    )
    gate = StoredOodDetector(limit=0.2, components=128, training_scans=2000, validation_scans=500, rejection_rate=0.018)
    card = render_model_card(draft.model_copy(update={"conformal": sets, "ood_detector": gate}))
    assert "Prediction sets (LAC) contain the true class of 90% of scans" in card
    assert "glioma 9 of 3 groups, meningioma 12, no_tumor 4 of 2 groups" in card
    assert "In every set for lack of scans: no_tumor." in card
    assert "referred for review: 1.8% of 500 validation scans" in card
    assert "Prediction sets" not in render_model_card(draft)
    assert "out of distribution" not in render_model_card(draft)
