"""How far training has come and what the next update is, as functions of values."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sknt.training.progress import (
    LAST_RATE,
    LEARNED,
    LOST,
    MAX_ROUNDS,
    WARM_UP,
    Plan,
    Progress,
    Update,
    advance,
    next_update,
    observe,
)

CONSOLIDATES = Plan(consolidates=True, duration=2.0)


def run(plan, losses, n=1, progress=None):
    """Return the progress after each loss, and the updates that led there."""
    progress = progress or Progress()
    seen, updates = [], []
    for loss in losses:
        updates.append(next_update(progress, plan))
        progress = advance(observe(progress, loss, n), plan)
        seen.append(progress)
    return seen, updates


def learned_task():
    """The progress at which a task of 100 batches of 4 sequences has just been learned."""
    seen, _ = run(CONSOLIDATES, [1.0] * 40 + [0.0] * 200, n=4)
    return next(progress for progress in seen if progress.learned_at is not None)


def test_no_function_changes_its_arguments():
    before = Progress(n_sequences=8, mean_loss=0.01)
    kept = replace(before)
    observe(before, 0.5, 4)
    advance(before, CONSOLIDATES)
    next_update(before, CONSOLIDATES)
    assert before == kept


def test_sequences_and_updates_are_counted_and_losses_averaged():
    seen, _ = run(Plan(), [1.0, 0.0, 0.5], n=4)
    assert [p.n_sequences for p in seen] == [4, 8, 12]
    assert [p.n_updates for p in seen] == [1, 2, 3]
    expected = [1.0, 0.95, 0.95 * 0.95 + 0.05 * 0.5]
    assert_allclose([p.mean_loss for p in seen], expected)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_counted_but_stays_out_of_the_means(loss):
    before = Progress(n_sequences=4, n_updates=1, mean_loss=0.01)
    after = observe(before, loss, 4)
    assert (after.n_sequences, after.n_updates, after.mean_loss) == (8, 2, 0.01)
    assert after.last_lapse == 8


def test_without_consolidation_all_updates_are_alike_whatever_happens():
    seen, updates = run(Plan(), [1.0] * 5 + [0.0] * 500)
    assert set(updates) == {Update(rate=1.0, penalty=0.0, noise=0.0, orthogonal=True)}
    assert {p.phase for p in seen} == {"learning"}


def test_the_rate_warms_up_and_falls_at_the_end_of_what_is_planned():
    plan = replace(CONSOLIDATES, n_planned=400)
    _, updates = run(plan, [1.0] * 400)
    rates = np.array([update.rate for update in updates])
    assert_allclose(rates[:WARM_UP], np.arange(1, WARM_UP + 1) / WARM_UP)
    assert_allclose(rates[WARM_UP:240], 1.0)
    angle = np.pi * (np.arange(240, 400) - 240) / 160
    assert_allclose(rates[240:], np.maximum(LAST_RATE, (1 + np.cos(angle)) / 2))
    assert not any(update.penalty or update.noise for update in updates)


def test_a_task_is_learned_when_the_mean_loss_is_small_and_consolidated_in_proportion():
    progress = learned_task()
    assert progress.mean_loss < LEARNED
    assert progress.phase == "consolidating"
    assert progress.length == 2 * progress.n_sequences


def test_a_task_that_will_get_harder_does_not_count_as_learned():
    seen, _ = run(CONSOLIDATES, [0.0] * 50, progress=Progress(held=True))
    assert {p.phase for p in seen} == {"learning"}
    held = advance(replace(learned_task(), held=True), CONSOLIDATES)
    assert held.phase == "learning"


def test_penalty_and_noise_ramp_up_and_down_while_the_rate_falls():
    progress = learned_task()
    n_updates = progress.length // 4
    _, updates = run(CONSOLIDATES, [0.0] * n_updates, n=4, progress=progress)
    rates = np.array([update.rate for update in updates])
    penalties = np.array([update.penalty for update in updates])
    part = np.arange(n_updates) / n_updates
    assert (np.diff(rates) <= 0).all()
    assert rates[-1] == pytest.approx(LAST_RATE)
    height = np.clip(np.minimum(part, 0.65 - part) / 0.15, 0, 1)
    assert_allclose(penalties, height, atol=1e-12)
    assert not any(update.orthogonal for update in updates)


@pytest.mark.parametrize(
    ("mean_loss", "noise"), [(0, 0.4), (0.05, 0.2), (0.1, 0), (0.4, 0)]
)
def test_noise_shrinks_where_a_task_does_not_tolerate_it(mean_loss, noise):
    progress = Progress(
        n_sequences=140,
        n_updates=200,
        mean_loss=mean_loss,
        learned_at=100,
        length=100,
        whole_length=100,
    )
    update = next_update(progress, CONSOLIDATES)
    assert update.penalty == 1
    assert update.noise == pytest.approx(noise)


def test_a_plan_cuts_the_consolidation_short_and_with_it_the_penalty():
    progress = learned_task()
    n_left = 100
    plan = replace(CONSOLIDATES, n_planned=progress.n_sequences + n_left)
    late = advance(replace(progress, learned_at=None), plan)
    assert late.length == n_left
    assert late.whole_length == 2 * progress.n_sequences
    assert late.first_rate < 1  # it was already falling
    middle = replace(late, n_sequences=late.n_sequences + n_left // 2)
    expected = late.first_rate * n_left / late.whole_length
    assert next_update(middle, plan).penalty == pytest.approx(expected)


def test_an_exact_solution_ends_at_once_and_any_other_is_annealed_three_times():
    exact, _ = run(CONSOLIDATES, [0.0] * 3000, n=4, progress=learned_task())
    assert exact[-1].phase == "learned"
    assert exact[-1].n_rounds == 0
    seen, updates = run(CONSOLIDATES, [0.01] * 3000, n=4, progress=learned_task())
    assert seen[-1].phase == "learned"
    assert seen[-1].n_rounds == MAX_ROUNDS
    rounds = [(p, u) for p, u in zip(seen, updates, strict=True) if p.n_rounds > 0]
    first = next(p for p, _ in rounds)
    assert first.length == math.ceil(learned_task().length / 2)
    assert all(not u.penalty and not u.noise and u.rate <= 0.1 for _, u in rounds[1:])


def test_a_task_that_is_lost_is_learned_again():
    progress = learned_task()
    seen, _ = run(CONSOLIDATES, [1.0] * 20, n=4, progress=progress)
    lost = next(p for p in seen if p.phase == "learning")
    assert lost.mean_loss > LOST
    assert lost.n_before == 0  # the consolidation was not over
    over = replace(progress, n_sequences=4000, mean_loss=0.6)
    assert advance(over, CONSOLIDATES).n_before == 4000


def test_a_lapse_spoils_exactness_for_15_percent_of_the_consolidation():
    progress = Progress(n_late=1, length=100, n_sequences=1000, last_lapse=985)
    assert progress.exact
    assert not replace(progress, last_lapse=986).exact
    assert not replace(progress, late_loss=0.002).exact
    assert not replace(progress, n_late=0).exact


def test_exactness_is_judged_by_the_mean_of_the_last_15_percent():
    losses = np.random.RandomState(0).rand(50) / 100
    begun = Progress(n_sequences=50, mean_loss=0.01, learned_at=50, length=100)
    seen, _ = run(Plan(), losses, n=2, progress=begun)
    late = losses[2 * (np.arange(50) + 1) > 85]
    assert seen[-1].n_late == len(late) == 8
    assert seen[-1].late_loss == pytest.approx(late.mean())
