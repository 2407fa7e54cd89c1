import numpy as np
import pytest

from chymist import data


def test_the_answer_stands_behind_the_key():
    tokens, answers = data.associative_recall(np.random.default_rng(0), 500)
    keys, values = tokens[:, :8:2], tokens[:, 1:8:2]
    asked = keys == tokens[:, -1:]
    assert (asked.sum(1) == 1).all() and (values[asked] == answers).all()
    assert keys.max() == 7 and values.min() == 8 and values.max() == 15


def test_shuffled_answers_are_among_the_values_but_not_the_key_s():
    tokens, answers = data.associative_recall(np.random.default_rng(0), 4000, shuffled=True)
    keys, values = tokens[:, :8:2], tokens[:, 1:8:2]
    assert (values == answers[:, None]).any(1).all()
    right = (values[keys == tokens[:, -1:]] == answers).mean()
    # One in four, and by chance one in eight of the others.
    assert abs(right - (1 / 4 + 3 / 4 / 8)) < 0.03


@pytest.mark.parametrize("vocabulary", [7, 6])
def test_a_vocabulary_without_room_is_refused(vocabulary):
    with pytest.raises(ValueError, match=f"hold 4 keys in its half, got {vocabulary}"):
        data.associative_recall(np.random.default_rng(0), 3, vocabulary=vocabulary)
