"""Who may retrain, when it is due, and how its result becomes the candidate.

The guarantee: at most one retraining has its result registered for each time that it was due or asked
for, whatever dies or is delivered twice; one that was killed leaves nothing behind, and the next begins anew.

The table `retraining` has one row. As in shared.jobs.leases a bell is only a reason to look: `take` is one
UPDATE that leases the row where retraining is asked for or due, `attempts` fences all that its holder
commits, and the holder renews between steps. Times are the database's clock, in seconds. The statements are
in `shared.database.retrainings`.
"""

from __future__ import annotations

from typing import Any

from shared.database import models, retrainings
from shared.database.retrainings import RetrainingLease
from shared.database.sessions import Database
from shared.jobs.doorbell import RETRAIN, Bell, Doorbell

CANDIDATE = "candidate"
BELL = Bell(RETRAIN, 1, small=False, text="the labels so far")


def ask(database: Database) -> None:
    """Have the next retraining train, however few labels are new."""
    with database.write() as connection:
        retrainings.ask_for_retraining(connection, database)


def ring_if_due(database: Database, doorbell: Doorbell, every_s: float) -> bool:
    """Ring where nobody trains, it is asked for or `every_s` seconds have passed, and no bell waits."""
    with database.read() as connection:
        is_due = retrainings.is_due(connection, database, every_s)
    if not is_due or doorbell.waiting(BELL.queue):
        return False
    doorbell.ring([BELL])
    return True


def take(database: Database, every_s: float, lease_s: float) -> RetrainingLease | None:
    """The right to train for `lease_s` seconds; None where another has it or it is not due."""
    with database.write() as connection:
        return retrainings.lease_retraining(connection, database, every_s, lease_s)


def renew(database: Database, lease: RetrainingLease, lease_s: float) -> None:
    """Hold the lease for another `lease_s` seconds, or raise LeaseLost."""
    with database.write() as connection:
        retrainings.change_retraining(connection, lease, lease_until=database.clock + lease_s)


def give_back(database: Database, lease: RetrainingLease) -> None:
    """Let the next look begin it again: something outside failed that will be back."""
    with database.write() as connection:
        retrainings.change_retraining(connection, lease, lease_until=None)


def end(database: Database, lease: RetrainingLease, text: str) -> None:
    """It is over without a version; `text` says why."""
    with database.write() as connection:
        retrainings.end_retraining(connection, database, lease, text)


def register(
    database: Database, lease: RetrainingLease, version: str, manifest: dict[str, Any], text: str
) -> None:
    """The version becomes the candidate, and the retraining ends, in one transaction; or LeaseLost."""
    with database.write() as connection:
        retrainings.end_retraining(connection, database, lease, text)
        # As old as the labels that it saw: those that came meanwhile count for the next one. A job may have
        # met the version already, under its folder's own date.
        models.replace_model(connection, database, version, manifest, lease.since)
        models.move_alias(connection, database, CANDIDATE, version)
