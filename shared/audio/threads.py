"""How many threads the linear algebra beneath the features may take."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[Any]:
    """A context within which each BLAS library has one thread."""
    limited: AbstractContextManager[Any] = _blas().limit(limits=1)
    return limited


@cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries that are loaded. Finding them takes 15 ms, limiting them 0.07."""
    return ThreadpoolController().select(user_api="blas")
