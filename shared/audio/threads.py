"""How many threads the algebra beneath the features may take."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[Any]:
    """Within it the BLAS libraries have one thread each."""
    limited: AbstractContextManager[Any] = _blas().limit(limits=1)
    return limited


@cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries that are loaded; finding them takes 15 ms, limiting them 0.07."""
    return ThreadpoolController().select(user_api="blas")
