"""API keys as text: their form, their checksum, what is stored of them."""

from __future__ import annotations

import string

import pytest

from shared.core import api_keys as keys
from shared.core.errors.access import WrongExpiry


def test_a_key_has_256_random_bits_and_one_form() -> None:
    made = {keys.new_key() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(key) for key in made} == {52}
    assert all(key.startswith("vm_") and keys.is_key(key) for key in made)
    # Each of the 43 places but the first (62^43 is little over 2^256) takes every letter now and then.
    for place in range(4, 46):
        assert len({key[place] for key in made}) > 50


def test_every_single_typing_mistake_is_seen_without_a_look_up() -> None:
    key = keys.new_key()
    for place in range(len(key)):
        for letter in "0aZ":
            if key[place] != letter:
                assert not keys.is_key(key[:place] + letter + key[place + 1 :])
    for place in range(3, len(key) - 1):
        swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
        assert keys.is_key(swapped) == (swapped == key)


@pytest.mark.parametrize("text", ["", "vm_", "sk_live_0123", "vm_" + "٣" * 49, "vm_" + "a" * 49])
def test_what_is_no_key_is_told_apart(text: str) -> None:
    assert not keys.is_key(text)


def test_a_line_break_behind_a_key_makes_it_none() -> None:
    assert not keys.is_key(keys.new_key() + "\n")


def test_digest_and_prefix_do_not_give_the_key_away() -> None:
    key = keys.new_key()
    digest = keys.digest(key)
    assert len(digest) == 64
    assert set(digest) <= set(string.hexdigits.lower())
    assert keys.digest(key) == digest != keys.digest(keys.new_key())
    assert key.startswith(keys.prefix(key))
    assert len(keys.prefix(key)) == 11


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43_200), ("90d", 7_776_000), ("4w", 2_419_200)])
def test_a_time_to_live_is_hours_days_or_weeks(text: str, seconds: int) -> None:
    assert keys.duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "0d", "90", "d", "-1d", "1.5d", "1y", "٣d", "100000d", "1d\n"])
def test_any_other_time_to_live_is_refused(text: str) -> None:
    with pytest.raises(WrongExpiry, match="give hours, days or weeks"):
        keys.duration_s(text)
