"""Leased work: what every task does around it, whatever becomes of it.

A task takes a lease, works, and commits behind its fence. What can go wrong is the same everywhere: the lease
is lost, the worker is asked to end, something outside fails, or the work itself breaks. Each of these is
answered here, once; what is special to unpack, classify and retrain is in their subclasses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from shared.core.errors.infrastructure import InfrastructureError
from shared.database.leasing import LeaseLost
from shared.database.sessions import Connection, Database
from shared.database.work import Lease
from shared.jobs import leases
from workers.ending import Ending

T = TypeVar("T")


class Yielding(Exception):
    """Others go first: give the work back, with what is done of it."""


def look(database: Database, lease: Lease, read: Callable[[Connection], T]) -> T:
    """Read what the work needs to know. Where that fails, the lease is given back."""
    try:
        with database.read() as connection:
            return read(connection)
    except Exception as error:
        crashed = not isinstance(error, InfrastructureError)
        leases.give_back(database, lease, pause=True, crashed=crashed)
        raise


class LeasedWork(ABC):
    """Work that this process holds a lease of."""

    after_crash = "it is tried again"

    def perform(self) -> str:
        """Do it, or give it back.

        Returns:
            A sentence for Flower.

        Raises:
            InfrastructureError: something outside failed; the work was given back, and comes again.
            Exception: the work itself broke; it was given back, or ended.
        """
        try:
            text = self.run()
        except LeaseLost:
            # Still ours only where the answer to our own commit was lost.
            self.give_back()
            return "lease lost; another worker has it"
        except Ending:
            self.give_back(keep=True)
            return "given back: this worker ends"
        except Yielding:
            self.give_back(keep=True)
            return "given back, with what is done: a small job goes first"
        except InfrastructureError as error:
            if not self.is_hopeless(error):
                self.give_back(keep=True, pause=True)
                raise
            text = self.give_up(error)
        except Exception as error:
            if not self.is_hopeless(error):
                is_memory = isinstance(error, MemoryError)
                self.give_back(pause=not is_memory, crashed=True)
                if is_memory:
                    # Handed on, it would end the worker's main process too: Celery raises it there again.
                    return f"out of memory; {self.after_crash}"
                raise
            text = self.give_up(error)
        self.finish()
        return text

    @abstractmethod
    def run(self) -> str:
        """All of it, to the commit that ends it; a sentence about it."""

    @abstractmethod
    def give_back(self, *, keep: bool = False, pause: bool = False, crashed: bool = False) -> None:
        """Let another worker take it, if it is still ours.

        Args:
            keep: commit what was done already.
            pause: nobody takes it for a while.
            crashed: the work itself was at fault.
        """

    @abstractmethod
    def is_hopeless(self, error: Exception) -> bool:
        """Whether another try would end in the same way."""

    @abstractmethod
    def give_up(self, error: Exception) -> str:
        """End it with what is wrong; a sentence about that."""

    def finish(self) -> None:  # noqa: B027 - a hook: most have something to do here, not all
        """What comes after the commit that ended it."""
