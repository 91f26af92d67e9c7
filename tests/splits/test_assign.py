"""The rule that shares whole faces out."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from candid.splits.assign import apportion, largest_remainder

COUNTS = st.lists(st.integers(1, 400), min_size=1, max_size=9)
RATIOS = st.sampled_from([(90, 5, 5), (8, 1, 1), (1, 1, 1), (70, 17, 13), (333, 333, 334), (98, 1, 1)])


def zeros(counts, weights):
    return [[0] * len(weights) for _ in counts]


def test_the_largest_remainders_are_rounded_up_and_of_equal_ones_the_first():
    assert largest_remainder(11, [18, 1, 1]) == [10, 1, 0]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 1000), min_size=1, max_size=8))
def test_largest_remainder_sums_and_stays_within_one(total, weights):
    counts = largest_remainder(total, weights)
    assert sum(counts) == total
    assert all(
        abs(count - Fraction(total * w, sum(weights))) < 1 for count, w in zip(counts, weights, strict=True)
    )


@settings(deadline=None, max_examples=80)
@given(COUNTS, st.one_of(RATIOS, st.integers(2, 12).map(lambda k: (1,) * k)))
def test_parts_are_exact_and_classes_within_one_face_of_their_share(counts, weights):
    totals = largest_remainder(sum(counts), weights)
    table = apportion(counts, weights, totals, zeros(counts, weights))
    assert [sum(row) for row in table] == counts
    assert [sum(column) for column in zip(*table, strict=True)] == totals
    for count, row in zip(counts, table, strict=True):
        for faces, weight in zip(row, weights, strict=True):
            assert faces >= 0
            assert abs(faces - Fraction(count * weight, sum(weights))) <= 1


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_is_placed_already_stays(data):
    weights = data.draw(RATIOS)
    counts = data.draw(COUNTS)
    lower = []
    for count in counts:
        row = data.draw(st.lists(st.integers(0, count), min_size=3, max_size=3))
        lower.append([value * count // max(1, sum(row)) // 2 for value in row])
    placed = [sum(column) for column in zip(*lower, strict=True)]
    free = largest_remainder(sum(counts) - sum(placed), weights)
    totals = [a + b for a, b in zip(placed, free, strict=True)]
    table = apportion(counts, weights, totals, lower)
    assert [sum(row) for row in table] == counts
    assert [sum(column) for column in zip(*table, strict=True)] == totals
    assert all(
        cell >= least
        for row, rest in zip(table, lower, strict=True)
        for cell, least in zip(row, rest, strict=True)
    )


def test_a_rare_class_is_in_every_part_where_one_face_is_near_its_share():
    table = apportion([12, 1000], [18, 1, 1], largest_remainder(1012, [18, 1, 1]), [[0, 0, 0], [0, 0, 0]])
    assert table[0] == [10, 1, 1]


def test_of_equally_exact_tables_the_one_nearest_to_the_shares_wins():
    # Shares 4.5 and 5.5 a row, 10 a column: one row up, the other down.
    table = apportion([9, 11], [1, 1], [10, 10], [[0, 0], [0, 0]])
    assert sorted(map(tuple, table)) in ([(4, 5), (6, 5)], [(5, 4), (5, 6)])
