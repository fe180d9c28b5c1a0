"""How many requests may be in flight: what makes the number grow, and what makes it fall."""

from __future__ import annotations

from volt_pipeline.api.flight import START, Flight, Kind

SMALL, LARGE = ("conversation", 10), ("conversation", 16)


class Volt:
    """Sends whole crowds and gives each the latency it is told."""

    def __init__(self, cap: int = 32) -> None:
        self.flight = Flight(cap)
        self.now = 0.0

    def crowd(self, *latencies: tuple[Kind, float]) -> None:
        """As many requests as may be, all answered; their kinds and latencies by turns."""
        number, began = self.flight.limit, self.now
        for _ in range(number):
            self.flight.left()
        for at in range(number):
            kind, seconds = latencies[at % len(latencies)]
            self.now = max(self.now, began + seconds)
            self.flight.answered(kind, began, began + seconds, number)

    def limit_after(self, crowds: int, *latencies: tuple[Kind, float]) -> int:
        for _ in range(crowds):
            self.crowd(*latencies)
        return self.flight.limit


def test_it_doubles_until_the_cap() -> None:
    volt = Volt()
    assert [volt.limit_after(2, (SMALL, 0.05)) for _ in range(4)] == [16, 32, 32, 32]


def test_it_does_not_grow_unless_it_is_used() -> None:
    flight = Flight(32)
    for at in range(200):
        flight.left()
        flight.answered(SMALL, float(at), at + 0.05, 1)
    assert flight.limit == START


def test_the_refusals_of_one_round_trip_halve_it_once() -> None:
    flight = Flight(32)
    for _ in range(8):
        flight.left()
    assert [flight.refused(1.0, 1.1 + at / 100) for at in range(8)] == [True] + [False] * 7
    assert flight.limit == START // 2
    flight.left()
    assert flight.refused(1.2, 1.3)
    assert flight.limit == START // 4


def test_refusals_leave_one() -> None:
    flight = Flight(32)
    for at in range(10):
        flight.left()
        flight.refused(at, at + 0.5)
    assert flight.limit == 1


def test_it_grows_by_little_once_it_was_cut() -> None:
    volt = Volt()
    volt.limit_after(4, (SMALL, 0.05))
    volt.flight.left()
    volt.flight.refused(volt.now, volt.now)
    assert volt.flight.limit == 16
    assert [volt.limit_after(2, (SMALL, 0.05)) for _ in range(3)] == [18, 20, 22]


def test_growth_that_only_makes_answers_slower_is_undone_for_a_while() -> None:
    volt = Volt()
    volt.limit_after(2, (SMALL, 0.05))
    assert volt.limit_after(2, (SMALL, 0.10)) == START, "twice as many, each twice as slow"
    assert volt.limit_after(20, (SMALL, 0.05)) == START
    volt.now += 10.0
    assert volt.limit_after(2, (SMALL, 0.05)) > START


def test_growth_that_brings_throughput_stays_though_answers_are_slower() -> None:
    volt = Volt()
    volt.limit_after(2, (SMALL, 0.05))
    assert volt.limit_after(2, (SMALL, 0.07)) == 32


def test_large_pages_do_not_look_like_trouble() -> None:
    volt = Volt()
    volt.limit_after(2, (SMALL, 0.05))
    assert volt.limit_after(2, (LARGE, 0.50)) == 32
    assert volt.limit_after(20, (LARGE, 0.50), (SMALL, 0.05)) == 32


def test_answers_that_get_slower_by_themselves_cost_a_quarter() -> None:
    volt = Volt()
    volt.limit_after(10, (SMALL, 0.05))
    assert volt.flight.limit == 32
    assert volt.limit_after(2, (SMALL, 0.20)) == 24
    assert volt.limit_after(2, (SMALL, 0.20)) == 26, "what stays so is the new normal"


def test_a_lonely_error_changes_nothing_and_many_halve_it() -> None:
    volt = Volt()
    volt.limit_after(6, (SMALL, 0.05))
    for share, left in ((8, 32), (2, 16), (1, 8), (1, 8)):
        for at in range(80):
            volt.now += 0.01
            volt.flight.left()
            if at % share == 0:
                volt.flight.unanswered(volt.now, volt.now, overloaded=False)
            else:
                volt.flight.answered(SMALL, volt.now, volt.now + 0.05, 0)
            if volt.flight.limit == left != 32:
                break
        assert volt.flight.limit == left


def test_an_overloaded_server_is_asked_less_at_once() -> None:
    volt = Volt()
    volt.limit_after(6, (SMALL, 0.05))
    for _ in range(5):
        volt.flight.left()
        volt.flight.unanswered(volt.now - 0.01, volt.now, overloaded=True)
    assert volt.flight.limit == 16
