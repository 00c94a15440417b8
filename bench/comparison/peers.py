"""The tools that unwipe is measured beside, set up as their manuals advise."""

from pathlib import Path

from .cluster import BIN, Server, folder
from .process import SERVER_ACCOUNT, Background, folder_bytes, run
from .product import await_receiver

RECEIVER = "pg_receivewal"
STANZA = "bench"


class PgBackRest:
    """pgBackRest with a local repository, zstd 3, two processes."""

    def __init__(self, server, place):
        self.place, self.server = folder(place), server
        self.repository = folder(self.place / "repository")
        self.file = self.place / "pgbackrest.conf"
        folder(self.place / "log")
        folder(self.place / "spool")
        folder(self.place / "lock")
        self.file.write_text(f"""[global]
repo1-path={self.repository}
repo1-retention-full=10
log-path={self.place}/log
lock-path={self.place}/lock
spool-path={self.place}/spool
log-level-console=warn
compress-type=zst
compress-level=3
start-fast=y
process-max=2
[{STANZA}]
pg1-path={server.data}
pg1-port={server.port}
pg1-user=postgres
pg1-socket-path={server.data.parent}
""")

    def command(self, *arguments, **options):
        words = ["pgbackrest", f"--config={self.file}", f"--stanza={STANZA}", *arguments]
        return run(words, account=SERVER_ACCOUNT, **options)

    def archive_command(self):
        return f"pgbackrest --config={self.file} --stanza={STANZA} archive-push %p"

    def set_up(self):
        self.command("stanza-create")
        self.server.set(archive_command=self.archive_command())
        return self

    def backup(self, kind):
        """Makes a backup; returns its cost and the bytes it added, with the log that it cannot be restored without."""
        before = folder_bytes(self.repository)
        cost = self.command(f"--type={kind}", "backup")
        return cost, folder_bytes(self.repository) - before

    def restore(self, data, transaction):
        """Restores to just before a transaction's commit; the server is not started."""
        folder(data)
        return self.command(
            f"--pg1-path={data}", "--type=xid", f"--target={transaction}", "--target-exclusive",
            "--target-action=promote", "restore",
        )


def base_backup(server, target):
    """Runs pg_basebackup into a compressed archive, WAL left to pg_receivewal."""
    command = [BIN / "pg_basebackup", "-h", "127.0.0.1", "-p", server.port, "-U", "postgres", "-D", folder(target),
               "-F", "tar", "-c", "fast", "-X", "none", "--compress=client-zstd:3"]
    return run(command, account=SERVER_ACCOUNT), folder_bytes(target)


def _receiver(server, place, *options):
    return [BIN / "pg_receivewal", "-h", "127.0.0.1", "-p", server.port, "-U", "postgres", "-D", folder(place),
            "--slot=receiver", *options]


def create_slot(server):
    """Makes the receiver's slot. Its own `--create-slot` would keep the log only from the first connection on."""
    with server.connect() as connection:
        connection.query("SELECT pg_create_physical_replication_slot('receiver', true)"
                         " WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'receiver')")


def receive_wal(server, place):
    """Starts `pg_receivewal --synchronous` on a slot of its own."""
    create_slot(server)
    receiver = Background(_receiver(server, place, "--synchronous", "--no-loop"), f"{place}.log",
                          account=SERVER_ACCOUNT)
    await_receiver(server, RECEIVER, receiver)
    return receiver


def restore_base_backup(archive, wal, data, transaction):
    """Unpacks a base backup and prepares its recovery to just before a transaction's commit."""
    folder(data)
    Path(data).chmod(0o700)
    cost = run(["tar", "--use-compress-program=zstd", "-xf", Path(archive) / "base.tar.zst", "-C", data],
               account=SERVER_ACCOUNT)
    with open(Path(data) / "postgresql.auto.conf", "a") as settings:
        settings.write(
            # The last segment of a receiver that still runs has another name.
            f"restore_command = 'cp {wal}/%f %p 2>/dev/null || cp {wal}/%f.partial %p'\n"
            f"recovery_target_xid = '{transaction}'\nrecovery_target_inclusive = off\n"
            "recovery_target_action = promote\narchive_mode = off\n"
        )
    (Path(data) / "recovery.signal").touch()
    return cost


def start_restored(data):
    """Starts a restored server on a port of its own, and returns it once it is open."""
    return Server(data).start()
