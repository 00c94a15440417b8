"""Numbers 2, 3, 4 and 8: full backup, what a later one adds, restore to a moment, and memory; all tools on one server.

One round: a copy of the template is started; each tool makes its full backup, in an order that rotates; both receivers
follow 20,000 transactions; each tool makes its next backup; a marker row is written and a table dropped; each tool
restores the cluster to just before the drop, and the restored cluster is examined.
"""

import shutil
import subprocess
import sys
import time

from .cluster import Server, copy_of, folder
from .libpq import lsn_number
from .peers import (
    RECEIVER, PgBackRest, base_backup, create_slot, receive_wal, restore_base_backup, start_restored,
)
from .process import Failed, tree_cpu_s
from .product import SLOT, SOURCE, Unwipe, await_receiver, stop_capture

TRANSACTIONS = 20_000
_CLIENTS = 4


class Round:
    """One server, and each tool's backups of it."""

    def __init__(self, work, template, scale, number):
        self.work, self.scale, self.number = folder(work), scale, number
        self.server = copy_of(template, work / "data")
        self.unwipe = Unwipe(work / "unwipe").set_up(self.server)
        self.pgbackrest = PgBackRest(self.server, work / "pgbackrest").set_up()
        # Its slot keeps the log from the base backup on until it starts.
        create_slot(self.server)
        self.running = []

    def close(self):
        for process in self.running:
            process.stop()
        self.server.stop("immediate")

    def rotated(self, steps):
        """Each tool goes first in turn."""
        turn = self.number % len(steps)
        return steps[turn:] + steps[:turn]

    def _with_server_cpu(self, action):
        self._rest()
        before = self.server.cpu_s()
        result = action()
        return result, self.server.cpu_s() - before

    def _rest(self):
        """Lets the server finish what the tool before left to do."""
        with self.server.connect() as connection:
            connection.query("CHECKPOINT")
        subprocess.run(["sync"], check=True)

    def full(self):
        found = {}

        def unwipe():
            (cost, _), server_cpu = self._with_server_cpu(self.unwipe.capture_once)
            found["unwipe"] = _cost(cost, server_cpu, self.unwipe.stored_bytes())

        def pgbackrest():
            (cost, size), server_cpu = self._with_server_cpu(lambda: self.pgbackrest.backup("full"))
            found["pgbackrest"] = _cost(cost, server_cpu, size)

        def basebackup():
            (cost, size), server_cpu = self._with_server_cpu(lambda: base_backup(self.server, self.work / "archive"))
            found["pg_basebackup"] = _cost(cost, server_cpu, size)

        for step in self.rotated([unwipe, pgbackrest, basebackup]):
            step()
        return found

    def work_load(self):
        """Runs the transactions while both receivers follow; returns what following cost."""
        first_bytes = self.unwipe.stored_bytes()
        capture = self.unwipe.follow(self.server)
        receiver = receive_wal(self.server, self.work / "received")
        self.running = [capture, receiver]
        with self.server.connect() as connection:
            began_at = lsn_number(connection.value("SELECT pg_current_wal_lsn()"))
        before = capture.cpu_s(), receiver.cpu_s()
        load = self.server.pgbench("-c", _CLIENTS, "-j", 2, "-t", TRANSACTIONS // _CLIENTS)
        with self.server.connect() as connection:
            ended_at = lsn_number(connection.value("SELECT pg_current_wal_flush_lsn()"))
        for name, process in [(SLOT, capture), (RECEIVER, receiver)]:
            await_receiver(self.server, name, process, ended_at)
        # The capture commits at the latest 20 s after the bytes are durable.
        time.sleep(21)
        return {
            "wal_mib": (ended_at - began_at) / (1 << 20),
            "load_wall_s": load.wall_s,
            "unwipe_cpu_s": capture.cpu_s() - before[0],
            "pg_receivewal_cpu_s": receiver.cpu_s() - before[1],
            "unwipe_peak_mib": capture.peak_mib(),
            "unwipe_stored_mib": (self.unwipe.stored_bytes() - first_bytes) / (1 << 20),
        }

    def again(self):
        """Each tool's next backup after the transactions."""
        found = {}

        def pgbackrest():
            (cost, size), server_cpu = self._with_server_cpu(lambda: self.pgbackrest.backup("incr"))
            found["pgbackrest"] = _cost(cost, server_cpu, size)

        def unwipe():
            before = self.unwipe.stored_bytes()
            (cost, shown), server_cpu = self._with_server_cpu(
                lambda: self.unwipe.verb("shadow", "roll", SOURCE, "--base"))
            found["unwipe"] = _cost(cost, server_cpu, self.unwipe.stored_bytes() - before)
            found["unwipe_says"] = shown

        for step in self.rotated([unwipe, pgbackrest]):
            step()
        return found

    def disaster(self):
        """Writes the last good row, then drops the largest table; returns the transaction that did it."""
        with self.server.connect("bench") as connection:
            connection.query("INSERT INTO marker VALUES (1, 'the last good row')")
            transaction = connection.query("BEGIN; DROP TABLE pgbench_accounts; SELECT txid_current()")[0][0]
            connection.query("COMMIT")
            connection.query("INSERT INTO marker VALUES (2, 'written after the disaster')")
            last_segment = connection.value("SELECT pg_walfile_name(pg_switch_wal())")
            end = lsn_number(connection.value("SELECT pg_current_wal_flush_lsn()"))
        for name, process in zip((SLOT, RECEIVER), self.running):
            await_receiver(self.server, name, process, end)
        self._await_archived(last_segment)
        for process in self.running:
            stop_capture(process)
        self.running = []
        return transaction

    def _await_archived(self, wanted):
        """Waits until the archiver has handed over the segment that holds the disaster."""
        with self.server.connect() as connection:
            for _ in range(600):
                last = connection.value("SELECT last_archived_wal FROM pg_stat_archiver")
                if last and last[:24] >= wanted:
                    return
                time.sleep(0.1)
        raise Failed(f"{wanted} was not archived")

    def restores(self, transaction):
        found = {}
        # Production is gone: only its address is still known.
        self.server.stop("immediate")

        def unwipe():
            data = self.work / "restored-unwipe"
            subprocess.run(["sync"], check=True)
            began = time.monotonic()
            cost, shown = self.unwipe.verb("rewind", f"{SOURCE}@before-transaction:{transaction}", "--to", data)
            server = Server(data, _port(data))
            server.await_ready()
            found["unwipe"] = self._restored(began, server, cost)
            found["unwipe_timing_ms"] = shown["timing"]

        def pgbackrest():
            data = self.work / "restored-pgbackrest"
            subprocess.run(["sync"], check=True)
            began = time.monotonic()
            cost = self.pgbackrest.restore(data, transaction)
            with open(data / "postgresql.auto.conf", "a") as settings:
                settings.write("archive_mode = off\n")
            found["pgbackrest"] = self._restored(began, start_restored(data), cost)

        def basebackup():
            data = self.work / "restored-basebackup"
            subprocess.run(["sync"], check=True)
            began = time.monotonic()
            cost = restore_base_backup(self.work / "archive", self.work / "received", data, transaction)
            found["pg_basebackup"] = self._restored(began, start_restored(data), cost)

        for step in self.rotated([unwipe, pgbackrest, basebackup]):
            step()
        return found

    def _restored(self, began, server, cost):
        """Notes what the restore cost up to the first answer, then examines the cluster and removes it."""
        wall_s, server_cpu_s = time.monotonic() - began, tree_cpu_s(server.pid())
        try:
            with server.connect("bench") as connection:
                rows = int(connection.value("SELECT count(*) FROM pgbench_accounts"))
                markers = connection.query("SELECT n FROM marker WHERE n > 0 ORDER BY n")
        finally:
            server.stop("immediate")
        if rows != self.scale * 100_000 or markers != [("1",)]:
            raise Failed(f"{server.data} is not the moment asked for: {rows} rows, markers {markers}")
        shutil.rmtree(server.data)
        return {
            "wall_s": wall_s, "copy_wall_s": cost.wall_s, "cpu_s": cost.cpu_s + server_cpu_s,
            "tool_cpu_s": cost.cpu_s, "server_cpu_s": server_cpu_s, "peak_mib": cost.peak_mib,
        }


def _cost(cost, server_cpu_s, size):
    return {
        "wall_s": cost.wall_s, "cpu_s": cost.cpu_s + server_cpu_s, "tool_cpu_s": cost.cpu_s,
        "server_cpu_s": server_cpu_s, "peak_mib": cost.peak_mib, "stored_mib": size / (1 << 20),
    }


def _port(data):
    return int((data / "postmaster.pid").read_text().splitlines()[3])


def measure(work, template, scale, rounds):
    for number in range(rounds):
        place = work / "backup"
        shutil.rmtree(place, ignore_errors=True)
        current = Round(place, template, scale, number)
        try:
            result = {}
            for name, step in [("full", current.full), ("following", current.work_load), ("again", current.again),
                               ("restore", lambda: current.restores(current.disaster()))]:
                result[name] = step()
                print(f"{name}: {result[name]}", file=sys.stderr, flush=True)
        finally:
            current.close()
        yield result
        shutil.rmtree(place)
