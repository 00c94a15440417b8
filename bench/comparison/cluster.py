"""Scratch PostgreSQL servers, with data made once and copied for each round."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

from .libpq import Connection, SqlError
from .process import SERVER_ACCOUNT, Failed, run, tree_cpu_s

BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))[-1]
_PATIENCE_S = 600

_CONFIGURATION = """
listen_addresses = '127.0.0.1'
shared_buffers = 256MB
max_wal_size = 4GB
wal_level = replica
max_wal_senders = 10
max_replication_slots = 10
max_slot_wal_keep_size = 20GB
wal_keep_size = 0
checkpoint_timeout = 30min
archive_mode = on
archive_command = '/bin/true'
log_min_messages = warning
"""
_ACCESS = "local all all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server of our own in a scratch folder, run as the account of the servers."""

    def __init__(self, data, port=None):
        self.data, self.port = Path(data), port or free_port()

    def initdb(self):
        run([BIN / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-k"],
            account=SERVER_ACCOUNT)
        with open(self.data / "postgresql.conf", "a") as configuration:
            configuration.write(_CONFIGURATION)
        (self.data / "pg_hba.conf").write_text(_ACCESS)

    def log(self):
        return self.data.parent / f"{self.data.name}.log"

    def start(self, wait_s=_PATIENCE_S):
        run([BIN / "pg_ctl", "start", "-s", "-W", "-D", self.data, "-l", self.log(), "-o", f"-p {self.port} -k {self.data.parent}"],
            account=SERVER_ACCOUNT)
        return self.await_ready(wait_s)

    def await_ready(self, wait_s=_PATIENCE_S):
        """Waits until the server answers queries and is no longer recovering."""
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            try:
                with Connection(self.port) as connection:
                    if connection.value("SELECT pg_is_in_recovery()") == "f":
                        return self
            except SqlError:
                if time.monotonic() > until - wait_s + 5 and not (self.data / "postmaster.pid").exists():
                    raise Failed(f"the server in {self.data} ended; see {self.log()}") from None
            time.sleep(0.02)
        raise Failed(f"the server in {self.data} was not ready after {wait_s} s")

    def stop(self, mode="fast"):
        if (self.data / "postmaster.pid").exists():
            run([BIN / "pg_ctl", "stop", "-s", "-m", mode, "-D", self.data], account=SERVER_ACCOUNT, accept=(0, 1))

    def connect(self, database="postgres"):
        return Connection(self.port, database)

    def url(self, role="postgres", database="postgres"):
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"

    def pid(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def cpu_s(self, archiver=False):
        """CPU time of the server's processes; the archiver runs a peer's program and counts for that peer only."""
        return tree_cpu_s(self.pid(), () if archiver else ("archiver",))

    def pgbench(self, *options, database="bench"):
        return run([BIN / "pgbench", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-n", *options, database],
                   account=SERVER_ACCOUNT)

    def set(self, **settings):
        with self.connect() as connection:
            for name, value in settings.items():
                connection.query(f"ALTER SYSTEM SET {name} = '{value}'")
            connection.query("SELECT pg_reload_conf()")


def own(path):
    shutil.chown(path, SERVER_ACCOUNT, SERVER_ACCOUNT)
    return path


def folder(path):
    """Makes a folder that belongs to the account of the servers."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    return own(path)


def template(work, scale):
    """Makes the data directory that every round starts from."""
    data = work / f"template-{scale}"
    if (data / "done").exists():
        return data
    server = Server(data)
    server.initdb()
    server.start()
    try:
        with server.connect() as connection:
            connection.query("CREATE DATABASE bench")
            connection.query("CREATE ROLE unwipe LOGIN REPLICATION")
        server.pgbench("-i", "-q", "-s", scale)
        with server.connect("bench") as connection:
            connection.query("VACUUM (FREEZE, ANALYZE)")
            connection.query("CREATE TABLE marker (n bigint PRIMARY KEY, said text)")
            connection.query("CHECKPOINT")
    finally:
        server.stop()
    (data / "done").touch()
    return data


def copy_of(template_data, data):
    """Starts a server on a copy of a data directory."""
    subprocess.run(["cp", "-a", "--reflink=auto", template_data, data], check=True)
    (data / "done").unlink(missing_ok=True)
    return Server(data).start()
