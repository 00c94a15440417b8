"""Number 6: undo of a cascading DELETE, end to end: plan, approve, apply, compare."""

import shutil
import subprocess
import time

from .cluster import Server, folder
from .libpq import lsn_number
from .process import Failed
from .product import SLOT, SOURCE, Unwipe, await_receiver, stop_capture

_KEPT = 100
_ORDERS_PER_CUSTOMER = 4
_SCHEMA = """
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text UNIQUE, since timestamptz);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers ON DELETE CASCADE,
    amount numeric(12, 2) NOT NULL, note text, placed timestamptz NOT NULL);
CREATE INDEX ON orders (customer_id);
"""


def _fill(connection, customers):
    connection.query(_SCHEMA)
    connection.query(
        "INSERT INTO customers (name, email, since) SELECT 'Customer ' || n, 'c' || n || '@example.org',"
        f" timestamptz '2020-01-01' + n * interval '1 minute' FROM generate_series(1, {customers}) n")
    connection.query(
        "INSERT INTO orders (customer_id, amount, note, placed)"
        " SELECT c.id, (c.id * 7 + k) % 10000 / 100.0, md5(c.id::text || k), c.since + k * interval '1 day'"
        f" FROM customers c, generate_series(1, {_ORDERS_PER_CUSTOMER}) k")
    connection.query("VACUUM ANALYZE")


def _digest(connection, newest):
    """The content of both tables up to the rows that were there before the disaster."""
    return [
        connection.value(f"SELECT md5(string_agg(t::text, chr(10) ORDER BY id)) FROM {table} t WHERE id <= {highest}")
        for table, highest in newest.items()
    ]


def measure(work, rows, rounds):
    customers = rows // (1 + _ORDERS_PER_CUSTOMER) + _KEPT
    for number in range(rounds):
        shutil.rmtree(work / "undo", ignore_errors=True)
        place = folder(work / "undo")
        server, running = Server(place / "data"), []
        try:
            server.initdb()
            server.start()
            yield _round(server, place, customers, running)
        finally:
            for process in running:
                process.stop()
            server.stop("immediate")
        shutil.rmtree(place)


def _round(server, place, customers, running):
    with server.connect() as connection:
        connection.query("CREATE DATABASE shop")
        connection.query("CREATE ROLE unwipe LOGIN REPLICATION")
    with server.connect("shop") as connection:
        _fill(connection, customers)
    unwipe = Unwipe(place / "unwipe").set_up(server)
    capture = unwipe.follow(server)
    running.append(capture)
    with server.connect("shop") as connection:
        newest = {table: connection.value(f"SELECT max(id) FROM {table}") for table in ("customers", "orders")}
        before = _digest(connection, newest)
        connection.query("BEGIN")
        connection.query(f"DELETE FROM customers WHERE id > {_KEPT}")
        transaction = connection.value("SELECT txid_current()")
        connection.query("COMMIT")
        connection.query("INSERT INTO customers (name, email) SELECT 'Later ' || n, 'later' || n"
                         " FROM generate_series(1, 50) n")
        end = lsn_number(connection.value("SELECT pg_current_wal_flush_lsn()"))
    await_receiver(server, SLOT, capture, end)
    stop_capture(capture)
    subprocess.run(["sync"], check=True)

    plan = place / "plan"
    server_before = server.cpu_s()
    began = time.monotonic()
    planned, _ = unwipe.verb("rewind", SOURCE, "--undo", transaction, "--plan", plan, "--url", server.url())
    unwipe.verb("approve", plan, "--yes")
    applied, outcome = unwipe.verb("apply", plan, "--url", server.url())
    wall_s = time.monotonic() - began

    with server.connect("shop") as connection:
        after = _digest(connection, newest)
        later = int(connection.value("SELECT count(*) FROM customers WHERE name LIKE 'Later %'"))
        orphans = int(connection.value(
            "SELECT count(*) FROM orders o WHERE NOT EXISTS (SELECT FROM customers c WHERE c.id = o.customer_id)"))
    if after != before or later != 50 or orphans:
        raise Failed(f"the undo is not exact: {before} {after}, later rows {later}, orphans {orphans}")
    return {
        "rows": outcome["applied"]["counts"]["inserted"],
        "wall_s": wall_s, "plan_wall_s": planned.wall_s, "apply_wall_s": applied.wall_s,
        "plan_cpu_s": planned.cpu_s, "apply_cpu_s": applied.cpu_s,
        "production_cpu_s": server.cpu_s() - server_before,
        "plan_peak_mib": planned.peak_mib, "apply_peak_mib": applied.peak_mib,
    }
