"""Which addresses a webhook may have, and which secret signs."""

from __future__ import annotations

import base64

import pytest
from pydantic import ValidationError

from shared.core.errors.webhooks import WebhookPrivate, WebhookUnreachable, WrongWebhook
from shared.core.settings import Settings
from shared.jobs import webhooks


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.org/", "it does not begin with"),
        ("example.org/hook", "it does not begin with"),
        ("https:///hook", "it does not begin with"),
        ("http://[::1", "it is no address"),
        ("http://example.org:99999/", "it is no address"),
        ("http://example.org/a b", "it has characters"),
        ("http://example.org/\r\nX: y", "it has characters"),
        ("https://me:hunter2@example.org/", "it has a name or a password"),
    ],
)
def test_what_is_no_address_of_a_webhook_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(WrongWebhook, match=reason) as refused:
        webhooks.check(url, private=True)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "[::1]", "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "[64:ff9b::a00:1]",
     "[2002:7f00:1::]"],
)  # fmt: skip
def test_addresses_of_private_networks_are_refused_however_they_are_written(host: str) -> None:
    with pytest.raises(WebhookPrivate, match="VOXMOOD_WEBHOOK_PRIVATE"):
        webhooks.check(f"http://{host}/", private=False)
    webhooks.check(f"http://{host}/", private=True)


@pytest.mark.parametrize("host", ["1.1.1.1", "[2606:4700::1]", "[::ffff:1.1.1.1]", "example.org"])
def test_public_addresses_and_names_are_taken(host: str) -> None:
    webhooks.check(f"https://{host}:8443/hook", private=False)


@pytest.mark.parametrize("written", ["127.1", "2130706433", "0x7f.1", "localhost"])
def test_names_and_odd_spellings_of_the_loopback_are_looked_up_and_refused(written: str) -> None:
    webhooks.check(f"http://{written}/", private=False)
    with pytest.raises(WebhookPrivate):
        webhooks.addresses(written, 80, private=False)
    assert "127.0.0.1" in webhooks.addresses(written, 80, private=True)


def test_a_name_without_an_address_is_said_to_be_one() -> None:
    with pytest.raises(WebhookUnreachable, match="nowhere.invalid could not be reached"):
        webhooks.addresses("nowhere.invalid", 80, private=False)


def test_webhooks_reach_private_networks_only_from_a_server_of_one_machine() -> None:
    assert Settings(api_host="127.0.0.1").webhooks_reach_private
    assert not Settings(api_host="0.0.0.0").webhooks_reach_private
    assert Settings(api_host="0.0.0.0", webhook_private=True).webhooks_reach_private


def test_a_secret_too_short_to_sign_with_is_refused_and_not_shown() -> None:
    assert Settings(webhook_secret=f"whsec_{base64.b64encode(bytes(24)).decode()}").webhook_key == bytes(24)
    for wrong in ("whsec_aHVudGVyMg==", "no base64 at all"):
        with pytest.raises(ValidationError, match="base64 of 24 to 64 bytes") as refused:
            Settings(webhook_secret=wrong)
        assert wrong not in str(refused.value)
