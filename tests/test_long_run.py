"""Short forms of the benchmarks of long runs; see `benchmarks/long_run.py` and `benchmarks/load.py`."""

from __future__ import annotations

import pytest

from benchmarks import load, long_run


def test_memory_of_many_small_portraits_stays_flat(tiny):
    report = long_run.measure(tiny, 40)
    assert report["grown_mb"] < 20, report


@pytest.mark.slow
def test_memory_and_time_of_many_portraits_stay_flat(bundled):
    report = long_run.measure(bundled, 200)
    print(report)
    assert report["grown_mb"] < 50 and report["drift"] < 1.3, report


@pytest.mark.slow
def test_a_crowd_is_served_without_errors():
    report = load.measure(users=10, seconds=20, think=4)
    print(report)
    assert report["errors"] == 0 and report["portraits"] > 20, report
