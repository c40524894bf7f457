"""Tables, migrations, sessions, and the queries on them."""
