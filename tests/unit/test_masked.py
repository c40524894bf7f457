"""Learning from corpora that do not know every emotion: losses ask none about what it does not know."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from shared.models.training.losses import masked_crossentropy, masked_targets
from shared.models.training.masked import RIDGE, Linear, probabilities


def test_the_linear_network_is_the_known_one_where_nothing_is_masked() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(3, size=300)
    values = (rng.normal(0, 1, (300, 5)) + np.eye(3, 5)[classes]).astype(np.float32)
    values = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6)
    ours = Linear.fit(values, classes, np.ones((300, 3), bool), steps=500)
    theirs = LogisticRegression(C=1 / (RIDGE * 300), tol=1e-8, max_iter=1000).fit(values, classes)
    told = probabilities(ours(values), np.ones(3, bool))
    assert np.abs(told - theirs.predict_proba(values)).max() < 2e-3


def test_a_masked_loss_asks_no_corpus_about_what_it_does_not_know() -> None:
    """What one corpus calls the second class, the other, which does not know it, calls the third."""
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 0, 2], 50)
    places = np.array([[-1, 0], [1, 2], [-1, 0], [1, 2]])[np.repeat(range(4), 50)]
    values = (places + rng.normal(0, 0.3, (200, 2))).astype(np.float32)
    available = np.repeat([[True, True, False], [True, False, True]], 100, axis=0)
    told = probabilities(Linear.fit(values, classes, available)(values), available)
    assert np.all(told[~available] == 0)
    assert (told.argmax(axis=1) == classes).all()
    everything = np.ones_like(available)
    mixed_up = probabilities(Linear.fit(values, classes, everything)(values), everything)
    own = np.arange(200), classes
    assert told[own].mean() > 0.8
    assert mixed_up[own][classes > 0].mean() < 0.55


def test_a_networks_loss_asks_no_corpus_about_what_it_does_not_know() -> None:
    import keras

    available = np.array([[True, True, False], [True, False, True]])
    truth = masked_targets(np.eye(3, dtype=np.float32)[[1, 2]], available, smoothing=0.1)
    assert truth[:, :3].sum(axis=1) == pytest.approx([1, 1])
    assert not truth[:, :3][~available].any()
    logits = np.array([[0.0, 1.0, 9.0], [0.0, 9.0, 1.0]], np.float32)
    loss = np.asarray(masked_crossentropy(keras.ops.convert_to_tensor(truth), logits))
    known = log_softmax([0.0, 1.0])
    assert loss == pytest.approx([-0.05 * known[0] - 0.95 * known[1]] * 2, rel=1e-5)
    both = (truth[:1] + truth[1:]) / 2  # a mixture of the two
    mixture = np.asarray(masked_crossentropy(keras.ops.convert_to_tensor(both), logits[:1]))
    assert mixture == pytest.approx(-(both[:, :3] * log_softmax(logits[0])).sum(), rel=1e-5)
