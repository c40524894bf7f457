"""Who may see the page: on loopback whoever reaches it, on another address who knows the password."""

from __future__ import annotations

import hmac
import threading
import time

import streamlit as st

from shared.core.settings import Settings, is_loopback

MOST_TRIES = 10
PER_S = 60.0


class Tries:
    """Wrong passwords of all visitors together: after 10 in a minute nobody is asked until it has passed.

    128 random bits stand against ten guesses a minute for ever; a password of a dictionary does for years.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: list[float] = []

    def are_left(self) -> bool:
        """Whether another may be tried now."""
        with self._lock:
            self._wrong = [at for at in self._wrong if time.monotonic() - at < PER_S]
            return len(self._wrong) < MOST_TRIES

    def count(self) -> None:
        """Another was wrong."""
        with self._lock:
            self._wrong.append(time.monotonic())


@st.cache_resource
def _tries() -> Tries:
    """One for all who look."""
    return Tries()


def is_admitted() -> bool:
    """Whether this visitor may see the page; if not, it is asked for the password, and nothing else shows."""
    password = Settings().page_password
    if password is None:
        if is_loopback(st.get_option("server.address") or ""):
            return True
        st.error("This page listens on another address than loopback and has no password: set "
                 "VOXMOOD_PAGE_PASSWORD and start it again.")  # fmt: skip
        return False
    if st.session_state.get("is_admitted"):
        return True
    given = st.text_input("Password", type="password")
    if not given:
        return False
    if not _tries().are_left():
        st.error("Too many wrong passwords; wait a minute.")
    elif hmac.compare_digest(given.encode(), password.get_secret_value().encode()):
        st.session_state.is_admitted = True
        st.rerun()
    else:
        _tries().count()
        st.error("This is not the password.")
    return False
