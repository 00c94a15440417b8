"""Number 1: from a commit's acknowledgement until it is durable outside, for both receivers at once.

Both receivers stream from the same server at the same time, each over a slot of its own. One process commits and notes
the clock at each acknowledgement and the log's position right after it; another samples, in one query for both, what
each receiver declares flushed (`pg_stat_replication.flush_lsn`). The loss window of a commit is from its
acknowledgement to the first sample in which that receiver's position is not before the commit's.
"""

import multiprocessing
import shutil
import signal
import time
from bisect import bisect_left

from .cluster import copy_of, folder
from .libpq import Connection, lsn_number
from .peers import RECEIVER, receive_wal
from .product import SLOT, Unwipe, await_receiver, stop_capture
from .results import quantiles

_COMMITS = 1500
_PAUSE_S = 0.004
_SAMPLE_PAUSE_S = 0.00015
_LOAD_CLIENTS = 8


def _sample(port, samples, stop):
    names = (SLOT, RECEIVER)
    sql = "SELECT application_name, flush_lsn FROM pg_stat_replication"
    seen = {name: [] for name in names}
    last = dict.fromkeys(names)
    with Connection(port) as connection:
        while not stop.is_set():
            rows = dict(connection.query(sql))
            now = time.monotonic()
            for name in names:
                if rows.get(name) and rows[name] != last[name]:
                    last[name] = rows[name]
                    seen[name].append((lsn_number(rows[name]), now))
            time.sleep(_SAMPLE_PAUSE_S)
    samples.send(seen)


def _commit(port, count, base):
    """Commits markers; returns for each the log's position and the clock at the acknowledgement."""
    acknowledged = []
    with Connection(port, "bench") as connection:
        for number in range(count):
            connection.query(f"INSERT INTO marker VALUES ({base + number}, 'loss window')")
            now = time.monotonic()
            # Under load this may lie after the commit's own record: the same small burden for both receivers.
            acknowledged.append((lsn_number(connection.value("SELECT pg_current_wal_flush_lsn()")), now))
            time.sleep(_PAUSE_S)
    return acknowledged


def _windows(acknowledged, seen):
    positions = [position for position, _ in seen]
    found = []
    for position, at in acknowledged:
        first = bisect_left(positions, position)
        if first < len(seen):
            found.append(max(0.0, seen[first][1] - at) * 1e3)
    return found


def _phase(server, processes, base, tps):
    """Measures one phase, idle or loaded; returns the windows of each receiver in milliseconds."""
    receiving, sending = multiprocessing.Pipe(False)
    stop = multiprocessing.Event()
    sampler = multiprocessing.Process(target=_sample, args=(server.port, sending, stop))
    sampler.start()
    acknowledged = _commit(server.port, _COMMITS, base)
    time.sleep(1)
    for process in processes:
        process.check()
    stop.set()
    seen = receiving.recv()
    sampler.join()
    windows = {name: _windows(acknowledged, seen[name]) for name in seen}
    for name, values in windows.items():
        if len(values) < len(acknowledged):
            raise RuntimeError(f"{name} did not confirm {len(acknowledged) - len(values)} commits")
    return {"commits": len(acknowledged), "tps": tps, **{name: quantiles(values) for name, values in windows.items()}}


def _loaded_phase(server, processes, base, duration_s):
    """Runs the same measurement beside pgbench."""
    bench = multiprocessing.Process(
        target=server.pgbench, args=("-c", _LOAD_CLIENTS, "-j", 2, "-T", duration_s))
    with server.connect("bench") as connection:
        count = "SELECT xact_commit FROM pg_stat_database WHERE datname = 'bench'"
        before, began = int(connection.value(count)), time.monotonic()
        bench.start()
        time.sleep(2)
        phase = _phase(server, processes, base, None)
        bench.join()
        phase["tps"] = round((int(connection.value(count)) - before) / (time.monotonic() - began))
    return phase


def measure(work, template, rounds):
    results = []
    for number in range(rounds):
        shutil.rmtree(work / "loss", ignore_errors=True)
        folder(work / "loss")
        server = copy_of(template, work / "loss" / "data")
        running = []
        try:
            unwipe = Unwipe(work / "loss" / "unwipe").set_up(server)
            # The order of attaching decides which sender the server wakes first, so it alternates.
            starters = [lambda: unwipe.follow(server), lambda: receive_wal(server, work / "loss" / "received")]
            for start in starters if number % 2 == 0 else reversed(starters):
                running.append(start())
            time.sleep(2)
            idle = _phase(server, running, number * 1_000_000, 0)
            loaded = _loaded_phase(server, running, number * 1_000_000 + 500_000, 25)
            results.append({"idle": idle, "loaded": loaded})
        finally:
            for process in running:
                process.stop()
            server.stop("immediate")
        yield results[-1]
        shutil.rmtree(work / "loss")


def measure_synchronous(work, template):
    """Checks that a commit waits for the vault in synchronous mode, and what that costs."""
    shutil.rmtree(work / "synchronous", ignore_errors=True)
    folder(work / "synchronous")
    server = copy_of(template, work / "synchronous" / "data")
    capture = None
    try:
        with server.connect("bench") as connection:
            alone = _latencies(connection, 0)
        unwipe = Unwipe(work / "synchronous" / "unwipe").set_up(server, "--synchronous")
        capture = unwipe.follow(server)
        server.set(synchronous_standby_names=SLOT)
        await_receiver(server, SLOT, capture)
        time.sleep(1)
        with server.connect("bench") as connection:
            latencies = _latencies(connection, 10_000)
            early = _early(server, connection)
            waited = _waits(server, capture)
        return {
            "commit_ms_without": quantiles(alone), "commit_ms_with": quantiles(latencies),
            "acknowledged_before_durable": early, "commit_waits_for_stopped_capture": waited,
        }
    finally:
        if capture:
            capture.send(signal.SIGCONT)
            stop_capture(capture)
        server.stop("immediate")
        shutil.rmtree(work / "synchronous")


def _latencies(connection, base, count=500):
    values = []
    for number in range(count):
        began = time.monotonic()
        connection.query(f"INSERT INTO marker VALUES ({-1 - base - number}, 'latency')")
        values.append((time.monotonic() - began) * 1e3)
    return values


def _early(server, connection, count=300):
    """Counts commits that were acknowledged before the receiver had declared them durable."""
    sql = f"SELECT flush_lsn FROM pg_stat_replication WHERE application_name = '{SLOT}'"
    early = 0
    with server.connect() as watcher:
        for number in range(count):
            connection.query(f"INSERT INTO marker VALUES ({-100_000 - number}, 'early')")
            durable = watcher.value(sql)
            # Nobody else writes, so the log ends with the commit's record.
            early += lsn_number(durable) < lsn_number(connection.value("SELECT pg_current_wal_flush_lsn()"))
    return early


def _insert(port, number):
    with Connection(port, "bench") as connection:
        connection.query(f"INSERT INTO marker VALUES ({number}, 'waits')")


def _waits(server, capture):
    """Stops the capture's process; a commit must then wait until it goes on."""
    capture.send(signal.SIGSTOP)
    client = multiprocessing.Process(target=_insert, args=(server.port, -200_000))
    client.start()
    client.join(3)
    waited = client.is_alive()
    capture.send(signal.SIGCONT)
    client.join(30)
    return waited and client.exitcode == 0
