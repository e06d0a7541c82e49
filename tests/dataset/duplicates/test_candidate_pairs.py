from __future__ import annotations

import numpy as np
import pytest

from brainslice.dataset.duplicates import candidate_pairs, similarity
from brainslice.dataset.duplicates.candidate_pairs import WINDOWS, find_candidate_pairs
from brainslice.dataset.duplicates.fingerprint import SIDE, TURNS, Fingerprint, compute_fingerprint, high_pass, rotated
from brainslice.phantom import KINDS, draw_phantom
from brainslice.scan.types import Slice

COUNT = 16


@pytest.fixture(autouse=True, params=["all with all", "clusters"])
def clustered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether images are compared within clusters only, of which eight or more there are."""
    chosen = request.param == "clusters"
    if chosen:
        monkeypatch.setattr(similarity, "MIN_FOR_CLUSTERS", 1)
        monkeypatch.setattr(similarity, "_NEAREST", 3)
    return chosen


@pytest.fixture(scope="module")
def sketches() -> list[Fingerprint]:
    heads = [draw_phantom(KINDS[patient % 4], patient, 3, 11).pixels.astype(np.float32) for patient in range(COUNT)]
    return [compute_fingerprint(Slice(head, str(place))) for place, head in enumerate(heads)]


@pytest.fixture(scope="module")
def squares(sketches: list[Fingerprint]) -> np.ndarray:
    return np.stack([each.head for each in sketches])


def test_the_windows_are_all_ways_to_cut_some_sides() -> None:
    assert len(set(WINDOWS)) == 16
    assert WINDOWS[0] == (0.0, 1.0, 0.0, 1.0)
    assert all(window.bottom - window.top > 0.8 and window.right - window.left > 0.8 for window in WINDOWS)


@pytest.mark.parametrize("turn", range(TURNS))
def test_a_rotated_copy_is_proposed_with_a_similarity_near_one(squares: np.ndarray, turn: int) -> None:
    both = np.concatenate([squares, rotated(squares[5:6], turn)])
    found = find_candidate_pairs(both, both, len(both))
    undone = [t for t in range(TURNS) if np.array_equal(rotated(rotated(squares[5:6], turn), t), squares[5:6])]
    at = (found.first == 5) & (found.second == COUNT) & (found.turn == undone[0])
    assert found.similarity[at].max() > 0.98


@pytest.mark.parametrize("mirrored", [0, 1])
def test_a_cropped_copy_is_proposed_with_the_window_it_was_cut_by(squares: np.ndarray, mirrored: int) -> None:
    window = next(place for place, each in enumerate(WINDOWS) if each == (0.08, 1.0, 0.0, 0.92))
    cut = round(0.08 * SIDE)
    part = rotated(squares[3:4], mirrored)[:, cut:, : SIDE - cut]
    rows = np.linspace(0, part.shape[1] - 1, SIDE).round().astype(int)
    copy = part[:, rows][:, :, rows]
    both = np.concatenate([squares, copy])
    found = find_candidate_pairs(both, both, len(both))
    at = (found.first == COUNT) & (found.second == 3) & (found.turn == mirrored)
    assert found.window[at].tolist() == [window]
    assert found.similarity[at][0] > 0.8


def test_no_picture_is_paired_with_itself_and_no_pair_comes_twice_in_one_turn(squares: np.ndarray) -> None:
    found = find_candidate_pairs(squares, squares, COUNT)
    assert (found.first != found.second).all()
    pairs = {
        (min(first, second), max(first, second), turn)
        for first, second, turn in zip(found.first.tolist(), found.second.tolist(), found.turn.tolist(), strict=True)
    }
    assert len(pairs) == len(found)


def test_pairs_within_the_other_set_are_not_looked_for(squares: np.ndarray) -> None:
    both = np.concatenate([squares, squares[:, ::-1]])
    found = find_candidate_pairs(both, both, 4)
    assert (np.minimum(found.first, found.second) < 4).all()
    assert {(place, place + COUNT) for place in range(4)} <= set(
        zip(found.first.tolist(), found.second.tolist(), strict=True)
    )


def test_candidates_are_selected_by_mask_and_by_index(squares: np.ndarray) -> None:
    found = find_candidate_pairs(
        np.concatenate([squares, squares[:2]]), np.concatenate([squares, squares[:2]]), COUNT + 2
    )
    likely = found.similarity > 0.9
    assert len(found.at(likely)) == int(likely.sum()) > 0
    assert found.at(slice(0, 2)).similarity.tolist() == found.similarity[:2].tolist()


def test_similarity_is_the_correlation_of_coarse_reliefs(squares: np.ndarray) -> None:
    both = np.concatenate([squares, squares[7:8] // 2 + 20])
    found = find_candidate_pairs(both, both, len(both))
    at = (found.first == 7) & (found.second == COUNT) & (found.turn == 0)
    small = high_pass(both, 24)
    assert found.similarity[at][0] == pytest.approx(float((small[7] * small[COUNT]).sum()), abs=0.02)


def test_progress_is_reported_to_the_end(squares: np.ndarray) -> None:
    heard: list[tuple[str, int, int]] = []
    find_candidate_pairs(squares, squares, COUNT, lambda *news: heard.append(news))
    assert [done for _, done, _ in heard] == list(range(1, heard[-1][2] + 1))


def test_with_clusters_the_most_similar_partners_are_kept(
    squares: np.ndarray,
    clustered: bool,  # noqa: FBT001 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = np.concatenate([squares] + [squares // 2 + grey for grey in (10, 20, 30, 40)])
    monkeypatch.setattr(candidate_pairs, "_MAX_CANDIDATES", 3)
    found = find_candidate_pairs(both, both, len(both))
    copies = found.at((found.window == 0) & (found.turn == 0) & (found.first % COUNT == found.second % COUNT))
    if clustered:
        # Each of five equal images has three pairs that are its most similar ones, or such a pair of another.
        assert COUNT * 5 * 3 / 2 <= len(copies) <= COUNT * 10
        assert len(found.at(found.window == 0)) <= len(both) * 3
    else:
        assert len(copies) == COUNT * 10
