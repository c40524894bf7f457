"""`voxmood keys`: who may use the API from elsewhere. Works on the database itself, not through the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from shared.cli.options import State
from shared.core import api_keys as keys
from shared.core.errors.access import KeysNeedSchema, NoSuchKey, WrongScope
from shared.core.settings import Settings, default_state_dir
from voxmood.cli.commands import App
from voxmood.cli.console import hinted, out, print_json, say

if TYPE_CHECKING:
    from shared.database.sessions import Database

USUAL_SCOPES = "submit,read,label"
TIMES = ("created_at", "expires_at", "last_used_at", "revoked_at")
SHOWN = ("id", "prefix", "name", "scopes", "state", *TIMES)

app = App(help="API keys.")


@app.callback()
def callback() -> None:
    """API keys: needed wherever the API does not listen on this machine's loopback address alone."""


@app.command()
def create(
    name: Annotated[str, typer.Option(help="For people: whose it is, or what for.")] = "",
    scopes: Annotated[
        str, typer.Option(help=f"Any of {', '.join(keys.Scope)}, joined by commas; admin holds all.")
    ] = USUAL_SCOPES,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="12h, 90d, 4w. Default: it never expires.")
    ] = None,
    state: State = None,
) -> None:
    """Make a key and print it: this once, for only its SHA-256 is stored."""
    from shared.database import keys as stored_keys

    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    for scope in wanted or [scopes]:
        if scope not in tuple(keys.Scope):
            raise WrongScope(scope=repr(scope), known=", ".join(keys.Scope))
    expires_s = None if expires is None else keys.duration_s(expires)
    key = keys.new_key()
    with _database(state) as database, database.write() as connection:
        number = stored_keys.add(connection, database, key, name, wanted, expires_s)
    typer.echo(key)
    say(
        f"Key {number}, for {', '.join(wanted)}. It is shown this once; VOXMOOD_API_KEY gives it to commands."
    )


@app.command(name="list")
def list_keys(
    json: Annotated[bool, typer.Option("--json", help="One JSON line a key.")] = False,
    state: State = None,
) -> None:
    """List the keys, expired and revoked ones too; of each only how it begins."""
    from shared.database import keys as stored_keys

    with _database(state) as database, database.read() as connection:
        rows = stored_keys.listed(connection, database)
    if json:
        for row in rows:
            document: dict[str, Any] = {column: getattr(row, column) for column in SHOWN}
            moments = {column: _moment(getattr(row, column)) for column in TIMES}
            print_json(document | {"scopes": list(row.scopes)} | moments)
        return
    if not rows:
        out.print(hinted("There are no keys. `voxmood keys create --name …` makes one."))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("key", "begins", "name", "scopes", "state", "created", "expires", "last used"):
        table.add_column(column, overflow="fold", no_wrap=column not in ("name", "scopes"))
    for row in rows:
        days = (str(_moment(getattr(row, column)) or "")[:10] for column in TIMES[:3])
        table.add_row(str(row.id), row.prefix, Text(row.name), " ".join(row.scopes), row.state, *days)
    out.print(table)


@app.command()
def revoke(
    key: Annotated[int, typer.Argument(metavar="KEY", min=1, help="Its number, as `keys list` has it.")],
    state: State = None,
) -> None:
    """Revoke a key, at once and for good. Its jobs stay; only keys with the scope admin see them then."""
    from shared.database import keys as stored_keys

    with _database(state) as database, database.write() as connection:
        if not stored_keys.revoke(connection, database, key):
            raise NoSuchKey(key=key)
    say(f"Key {key} is revoked.")


def are_missing(state: Path) -> bool:
    """Whether nobody has a key to the API of this state folder yet."""
    from shared.database import keys as stored_keys

    with _database(state) as database, database.read() as connection:
        return not stored_keys.any_valid(connection, database)


@contextmanager
def _database(state: Path | None) -> Iterator[Database]:
    """The database of VOXMOOD_DATABASE_URL, else of the state folder; KeysNeedSchema."""
    from shared.database import upgrade
    from shared.database.sessions import Database

    settings = Settings()
    url = settings.database_url
    if "database_url" not in settings.model_fields_set:
        url = f"sqlite:///{(state or default_state_dir()).absolute() / 'voxmood.db'}"
    database = Database(url)
    try:
        there = not database.is_sqlite or Path(database.url.database or "").exists()
        if not there or upgrade.current(database) != upgrade.head():
            raise KeysNeedSchema(database=database.url.render_as_string(hide_password=True))
        yield database
    finally:
        database.close()


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
