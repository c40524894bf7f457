"""Promise 4: mutated recordings and archives each get an outcome. `make fuzz N=100000` is the long form."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.__main__ import lines, written_corpus
from tests.fuzz.campaign import Campaign, Child, found
from tests.fuzz.corpus import corpus
from tests.fuzz.mutations import mutated

INPUTS = 200
# Answers as a reader does, but to the input 1, of which it dies.
MORTAL = """
import json, os, signal, sys
answer = {"broke": None, "codes": {"decoded": 1}, "warnings": [], "cpu_s": 0, "peak_bytes": 0}
answer["said_bytes"] = 0
print(json.dumps(answer), flush=True)
for line in sys.stdin:
    if line.strip() == "1":
        os.kill(os.getpid(), signal.SIGSEGV)
    print(json.dumps(answer | ({"cpu_s": 9, "said_bytes": 10**6} if line.strip() == "2" else {})), flush=True)
"""


@pytest.mark.slow
def test_two_hundred_mutations_each_get_an_outcome(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    report = Campaign(written_corpus(tmp_path / "corpus"), 4, tmp_path / "findings").run(range(INPUTS), 1)
    print("\n".join(lines(report, 1.0, 4)))
    assert report.inputs == INPUTS
    assert not report.findings
    assert report.outcomes.total() >= INPUTS
    assert report.outcomes["decoded"] > INPUTS / 10  # else nothing comes as far as the features
    assert len(report.outcomes) > 5


def test_the_same_seed_and_number_give_the_same_input() -> None:
    bodies = list(corpus().values())
    time.sleep(1.1)  # libsndfile writes the time into some
    again = list(corpus().values())
    assert bodies == again
    assert mutated(bodies, Random("4 7")) == mutated(again, Random("4 7"))
    assert mutated(bodies, Random("4 7")) != mutated(bodies, Random("4 8"))


def test_a_child_that_dies_or_takes_too_much_is_a_finding_and_the_next_input_is_read(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", MORTAL], tmp_path / "said")
    try:
        assert found(child.ask("0"), child.rest_bytes) == []
        assert found(child.ask("1"), child.rest_bytes) == ["the process ended: SIGSEGV"]
        assert [words.partition(":")[0] for words in found(child.ask("2"), child.rest_bytes)] == [
            "slow",
            "loud",
        ]
        assert found(child.ask("3"), child.rest_bytes) == []
    finally:
        child.close()
