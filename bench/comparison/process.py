"""Running programs and measuring what they cost."""

import os
import pwd
import resource
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SERVER_ACCOUNT = "postgres"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program ended with an error."""


@dataclass
class Cost:
    """What one program cost: its own CPU time with that of its children, and the largest memory of one process."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    output: str


def as_server_account():
    """Returns what makes a child process run as the account of the servers."""
    account = pwd.getpwnam(SERVER_ACCOUNT)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def run(command, *, account=None, environment=None, accept=(0,), cwd="/"):
    """Runs a program to its end and returns what it cost.

    Between this process and the program stands `time`: the kernel counts the memory of whoever starts a program as the
    program's own, and this process has more than some of them.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.NamedTemporaryFile("r") as peak:
        os.chmod(peak.name, 0o666)
        began = time.monotonic()
        child = subprocess.Popen(
            ["/usr/bin/time", "--quiet", "--format", "%M", "--output", peak.name, *(str(part) for part in command)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd,
            env={**os.environ, **(environment or {})},
            **(as_server_account() if account == SERVER_ACCOUNT else {}),
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        output, complaint = out.read().decode(errors="replace"), err.read().decode(errors="replace")
        peak_kib = int(peak.read().split()[-1])
    if child.returncode not in accept:
        words = " ".join(str(part) for part in command)
        raise Failed(f"{words}\nended with {child.returncode}\n{complaint[-4000:]}{output[-2000:]}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, peak_kib / 1024, output)


class Background:
    """A program that runs beside the measurement; its costs are read while it runs and when it ends."""

    def __init__(self, command, log, *, account=None, cwd="/"):
        self.name = Path(str(command[0])).name
        self.log = Path(log)
        with open(log, "ab") as sink:
            self._child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=cwd,
                **(as_server_account() if account == SERVER_ACCOUNT else {}),
            )
        self.pid = self._child.pid

    def cpu_s(self):
        return tree_cpu_s(self.pid)

    def peak_mib(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def check(self):
        if self._child.poll() is not None:
            raise Failed(f"{self.name} ended with {self._child.returncode}:\n{self.log.read_text()[-4000:]}")

    def send(self, number):
        os.kill(self.pid, number)

    def stop(self, number=signal.SIGINT, patience_s=120):
        if self._child.poll() is None:
            self._child.send_signal(number)
            try:
                self._child.wait(patience_s)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        return self._child.returncode


def _stat(pid):
    """Returns the parent and the CPU seconds of a process, those of its ended children included."""
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text.rsplit(")", 1)[1].split()
    return int(fields[1]), sum(int(field) for field in fields[11:15]) / _TICKS_PER_S


def tree_cpu_s(root, leave_out=()):
    """Adds up the CPU time of a process and all below it; children whose command line holds a word may be left out."""
    parents, seconds = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)], seconds[int(name)] = _stat(name)
            except (FileNotFoundError, ProcessLookupError):
                continue
    total, pending = 0.0, [root]
    while pending:
        pid = pending.pop()
        if pid not in seconds:
            continue
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(word in title for word in leave_out):
            continue
        total += seconds[pid]
        pending += [child for child, parent in parents.items() if parent == pid]
    return total


def own_cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def folder_bytes(folder):
    """Adds up the sizes of all files, as their owner sees them."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())
