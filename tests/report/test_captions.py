from __future__ import annotations

from brainslice.metrics.evaluation import Evaluation
from brainslice.report.captions import class_title, figure_caption, warning_stamp


def test_a_caption_says_data_protocol_split_n_groups_and_interval(evaluation: Evaluation) -> None:
    caption = figure_caption(evaluation, "A line.")
    assert caption.startswith("A line. ")
    for word in ("drawn", "clean protocol", "test scans", "n = 240", "80 groups", "95%"):
        assert word in caption


def test_a_caption_says_every_mark(marked: Evaluation) -> None:
    caption = figure_caption(marked, "A line.")
    assert "LEAKY" in caption
    assert "PHANTOM" in caption


def test_a_mark_without_words_of_its_own_is_still_said() -> None:
    assert warning_stamp("unheard-of") == "UNHEARD-OF"


def test_a_class_is_written_without_underscores() -> None:
    assert class_title("no_tumor") == "no tumor"
