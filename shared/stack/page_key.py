"""Has the key of `voxmood up`'s own page stored: `python -m shared.stack.page_key`, a part of the stack.

The key itself comes by VOXMOOD_PAGE_KEY, from the state folder. One that was revoked stays so.
"""

from __future__ import annotations

import time

from shared.core.api_keys import Scope
from shared.core.errors.access import KeysNeedSchema
from shared.core.settings import Settings
from shared.database import keys, upgrade
from shared.database.keys import PAGE_NAME
from shared.database.sessions import Database

SCHEMA_LIMIT_S = 60.0
SCOPES = (Scope.SUBMIT, Scope.READ, Scope.LABEL)


def store(database: Database, key: str) -> None:
    """Wait until the schema is there, then store the key.

    Raises:
        KeysNeedSchema: it did not come within a minute.
    """
    deadline = time.monotonic() + SCHEMA_LIMIT_S
    while upgrade.current(database) != upgrade.head():
        if time.monotonic() > deadline:
            raise KeysNeedSchema(database=database.url.render_as_string(hide_password=True))
        time.sleep(0.2)
    with database.write() as connection:
        keys.ensure(connection, database, key, PAGE_NAME, SCOPES)


def main() -> None:
    """As the settings say; nothing without VOXMOOD_PAGE_KEY."""
    settings = Settings()
    if settings.page_key is not None:
        store(Database(settings.database_url), settings.page_key.get_secret_value())


if __name__ == "__main__":
    main()
