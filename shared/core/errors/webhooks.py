"""Errors of webhooks."""

from __future__ import annotations

from shared.core.errors.base import VoxmoodError


class WrongWebhook(VoxmoodError):
    """The webhook address {url} cannot be used: {reason}. Give one like https://example.org/voxmood."""


class WebhookPrivate(VoxmoodError):
    """{host} is {addresses}, in a private network or on this machine, where this server calls nobody
    (VOXMOOD_WEBHOOK_PRIVATE).
    """


class WebhookUnreachable(VoxmoodError):
    """{host} could not be reached: {reason}."""


class WebhookSlow(VoxmoodError):
    """{host} did not answer within {seconds:g} s."""


class WebhookRefused(VoxmoodError):
    """{host} answered {answer}; an answer from 200 to 299 was expected."""


class WebhookGone(VoxmoodError):
    """{host} answered 410: it wants to hear nothing more."""
