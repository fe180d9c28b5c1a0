"""The size of documents: halved when refused, grown again with care."""

from __future__ import annotations

import pytest

from volt_pipeline.api.sizes import PROVEN, Learned


def asked(learned: Learned, most: int, documents: int) -> list[int]:
    """Full documents to a Volt that takes so many items; gives the sizes that it refused."""
    refused = []
    for _ in range(documents):
        size = learned.size("conversation")
        if size > most:
            refused.append(size)
            learned.too_many("conversation", size)
        else:
            learned.fits("conversation", size)
    return refused


@pytest.mark.parametrize("most", range(1, 26))
def test_the_largest_size_that_works_is_found_with_few_refusals(most: int) -> None:
    learned = Learned(25)
    refused = asked(learned, most, 2000)
    assert learned.size("conversation") == most
    assert len(refused) <= 7
    assert max(map(refused.count, refused), default=0) <= 2, "no size is tried a third time"
    assert asked(learned, most, 2000) == []


def test_a_size_that_was_refused_only_once_is_tried_again() -> None:
    learned = Learned(25)
    learned.too_many("conversation", 25)
    assert learned.size("conversation") == 13
    assert asked(learned, 25, 12 * PROVEN) == []
    assert learned.size("conversation") == 25


def test_a_refusal_of_fewer_counts_for_more() -> None:
    learned = Learned(25)
    learned.too_many("conversation", 25)
    learned.too_many("conversation", 13)
    asked(learned, 25, 1000)
    assert learned.size("conversation") == 24


def test_small_documents_prove_nothing() -> None:
    learned = Learned(25)
    learned.too_many("conversation", 20)
    for _ in range(10 * PROVEN):
        learned.fits("conversation", 3)
    assert learned.size("conversation") == 10


def test_items_that_are_larger_than_others_make_it_smaller_again() -> None:
    learned = Learned(25)
    learned.too_many("conversation", 20)
    asked(learned, 12, 3 * PROVEN)
    learned.too_many("conversation", 6)
    assert learned.size("conversation") == 3


def test_each_operation_has_its_own() -> None:
    learned = Learned(25)
    learned.too_many("conversation", 25)
    assert (learned.size("conversation"), learned.size("message")) == (13, 25)
