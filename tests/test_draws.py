"""The counter-based generator that rows are drawn with."""

import numpy as np
import torch
from reference_dntm import scramble as scramble_one

from sknt.ops.draws import LIMIT, choose, make_keys, scramble, uniforms


def test_scrambling_is_a_permutation_and_the_same_in_plain_integers():
    numbers = torch.cat([torch.arange(100_000), 2**32 - 1 - torch.arange(100_000)])
    scrambled = scramble(numbers)
    assert len(scrambled.unique()) == len(numbers)
    assert scrambled.min() >= 0
    assert scrambled.max() < 2**32
    for i in (0, 1, 77_777, 199_999):
        assert scrambled[i] == scramble_one(int(numbers[i]))


def test_flipping_a_bit_flips_each_bit_of_the_result_half_of_the_time():
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(2**32, (20_000,), generator=generator)
    bits = torch.arange(32)
    for bit in range(32):
        changed = scramble(numbers) ^ scramble(numbers ^ (1 << bit))
        share = (changed[:, None] >> bits & 1).double().mean(0)
        assert (share - 0.5).abs().max() < 0.03  # 8 standard deviations


def test_keys_are_whole_numbers_that_single_precision_holds_and_differ_by_seed():
    keys = make_keys(1000, seed=3)
    assert keys.min() >= 1
    assert keys.max() < LIMIT
    assert torch.equal(keys.float().long(), keys)
    assert len(keys.unique()) > 990
    assert (keys == make_keys(1000, seed=4)).sum() < 5
    assert torch.equal(keys[:10], make_keys(10, seed=3))


def test_numbers_are_uniform_over_keys_over_counts_and_over_heads():
    keys, counts = make_keys(20_000, seed=0), torch.arange(20_000)
    by_key = uniforms(torch.stack([keys, torch.zeros_like(keys)], -1), 2)
    by_count = uniforms(torch.stack([keys[:1].expand(20_000), counts], -1), 2)
    by_head = uniforms(torch.stack([keys[:1], counts[:1]], -1), 20_000).T
    for numbers in (*by_key.double().T, *by_count.double().T, *by_head.double().T):
        shares = torch.histc(numbers, 20, 0, 1) / len(numbers)
        assert (shares - 0.05).abs().max() < 0.01  # 6 standard deviations
    for pairs in (by_key.double().T, by_count.double().T, by_count[:, :1].double()):
        pairs = pairs if len(pairs) == 2 else torch.stack([pairs[:-1, 0], pairs[1:, 0]])
        assert torch.corrcoef(pairs)[0, 1].abs() < 0.04


def test_numbers_are_the_same_in_both_precisions_and_never_0_or_1():
    keys = make_keys(50_000, seed=1)
    draw = torch.stack([keys, keys.flip(0)], -1)
    single, double = uniforms(draw.float(), 3), uniforms(draw.double(), 3)
    assert torch.equal(single.double(), double)
    assert single.min() > 0
    assert single.max() < 1


def test_a_row_is_chosen_as_often_as_it_is_probable_and_never_one_without_probability():
    probabilities = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0], dtype=torch.float64)
    keys = make_keys(20_000, seed=5).double()
    numbers = uniforms(torch.stack([keys, keys], -1), 1)
    rows = choose(probabilities.expand(20_000, 1, -1), numbers)
    shares = np.bincount(rows.flatten(), minlength=6) / 20_000
    np.testing.assert_allclose(shares, probabilities, atol=0.02)  # 6 standard deviations
    assert (shares[probabilities == 0] == 0).all()


def test_a_number_beyond_the_rounded_sum_falls_on_the_last_row():
    rows = choose(torch.tensor([[[0.5, 0.4999]]]), torch.tensor([[0.99999]]))
    assert rows.tolist() == [[1]]
