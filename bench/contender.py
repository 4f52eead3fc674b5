"""Programs that are measured: started once, stopped (SIGSTOP) while another one runs, asked over
pipes."""

import json
import os
import select
import signal
import subprocess
import time


def processors(count):
    """`count` processors, one a core as long as there are cores."""
    allowed = sorted(os.sched_getaffinity(0))
    firsts, others = [], []
    seen = set()
    for cpu in allowed:
        path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        try:
            siblings = open(path).read().strip()
        except OSError:
            siblings = str(cpu)
        (others if siblings in seen else firsts).append(cpu)
        seen.add(siblings)
    return (firsts + others)[:count]


OPENMP = ("OMP_", "GOMP_", "KMP_", "OPENBLAS_")


def environment_plain():
    """As a user's who has set nothing: the processors allowed are all that a program is given."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OPENMP)}


def environment(cpus, extra=None):
    """Threads pinned, one to a processor."""
    env = environment_plain()
    env.update(
        OMP_NUM_THREADS=str(len(cpus)),
        OMP_PROC_BIND="close",
        OMP_DYNAMIC="false",
        OMP_PLACES=",".join("{%d}" % cpu for cpu in cpus),
        OPENBLAS_NUM_THREADS="1",
    )
    env.update(extra or {})
    return env


def ticks_busy():
    """Processor time used by anybody, in ticks; what the hypervisor took away counts as well."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(
            int, stat.readline().split()[1:9]
        )
    return user + nice + system + irq + softirq + steal


def ticks_of(pid):
    """Of a process and its children that have ended."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


class Load:
    """Share of the processors that went to others than `pid` (and us) while this was open.

    Time is counted in whole ticks, of a processor and of a process apart: one tick a processor may
    be missing on either side, and counts as ours.
    """

    def __init__(self, pid=None):
        self.pid, self.share = pid, 0.0

    def own(self):
        return ticks_of(os.getpid()) + (ticks_of(self.pid) if self.pid else 0)

    def __enter__(self):
        self.start, self.busy, self.mine = time.monotonic(), ticks_busy(), self.own()
        return self

    def __exit__(self, *_):
        hertz = os.sysconf("SC_CLK_TCK")
        processors = os.cpu_count() or 1
        foreign = (ticks_busy() - self.busy) - (self.own() - self.mine) - processors
        available = (time.monotonic() - self.start) * hertz * processors
        self.share = max(0.0, foreign / available) if available > 0 else 0.0


class Failed(Exception):
    pass


class Contender:
    """One program that serves commands (worker.h)."""

    def __init__(self, key, label, command, env, cpus, folder):
        self.key, self.label, self.command, self.env = key, label, command, env
        self.cpus, self.folder = cpus, folder
        self.process, self.ready = None, None

    def start(self, patience=240):
        errors = open(os.path.join(self.folder, f"{self.key}.log"), "w")
        self.process = subprocess.Popen(
            self.command,
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, self.cpus),
        )
        errors.close()
        self.buffer = b""
        self.greeting = self.answer(patience)
        self.ready = self.greeting["ready"]
        self.pause()
        return self

    def answer(self, patience):
        end = time.monotonic() + patience
        out = self.process.stdout.fileno()
        while True:
            while b"\n" not in self.buffer:
                if not select.select([out], [], [], max(0.0, end - time.monotonic()))[0]:
                    raise Failed(f"{self.label}: no answer within {patience} s")
                piece = os.read(out, 1 << 16)
                if not piece:
                    raise Failed(f"{self.label}: ended early; {self.last_words()}")
                self.buffer += piece
            line, self.buffer = self.buffer.split(b"\n", 1)
            if not line.startswith(b"{"):
                continue  # a library's own chatter
            reply = json.loads(line)
            if "error" in reply:
                raise Failed(f"{self.label}: {reply['error']}")
            return reply

    def last_words(self):
        with open(os.path.join(self.folder, f"{self.key}.log"), errors="replace") as log:
            lines = [line.strip() for line in log if line.strip()]
        return lines[-1] if lines else "it said nothing"

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def pause(self):
        self.signal(signal.SIGSTOP)

    def ask(self, text, patience=240):
        self.signal(signal.SIGCONT)
        try:
            self.process.stdin.write(text.encode() + b"\n")
            self.process.stdin.flush()
            return self.answer(patience)
        except BrokenPipeError:
            raise Failed(f"{self.label}: ended early; {self.last_words()}") from None
        finally:
            self.pause()

    def stop(self):
        if not self.process:
            return
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process = None


def watch(command, env, cpus, folder, fifo=None, rows=None, log="watched"):
    """Runs a program that writes a "step,loss" line a step, to `fifo` or to standard output, and
    watches it from outside. With `rows` it is ended after so many. Returns wall seconds, seconds
    until each row, the losses, the most memory it held, and the share of the processors that
    others had."""
    result = {"rows_s": [], "losses": [], "killed": False}
    text = b""

    def take(piece, now):
        nonlocal text
        text += piece
        while b"\n" in text:
            line, text = text.split(b"\n", 1)
            words = line.decode(errors="replace").split(",")
            if len(words) == 2 and words[0].isdigit():
                result["rows_s"].append(now)
                result["losses"].append(float(words[1]))

    with open(os.path.join(folder, f"{log}.log"), "w") as errors, Load() as load:
        source = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK) if fifo else None
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            env=env,
            cwd=folder,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            stdout=errors if fifo else subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )
        source = source if fifo else process.stdout.fileno()
        usage, status = None, None
        while usage is None:
            if select.select([source], [], [], 0.05)[0]:
                piece = os.read(source, 1 << 16)
                take(piece, time.monotonic() - start)
                if not piece:
                    time.sleep(0.002)  # nobody has opened it yet, or nobody does any more
            if rows and len(result["rows_s"]) >= rows and not result["killed"]:
                result["killed"] = True
                os.killpg(process.pid, signal.SIGKILL)
            pid, status, spent = os.wait4(process.pid, os.WNOHANG)
            usage = spent if pid else None
        result["wall_s"] = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        while select.select([source], [], [], 0)[0] and (piece := os.read(source, 1 << 16)):
            take(piece, result["wall_s"])
        if fifo:
            os.close(source)
        else:
            process.stdout.close()
    if process.returncode and not result["killed"]:
        with open(os.path.join(folder, f"{log}.log"), errors="replace") as words:
            last = [line.strip() for line in words if line.strip()]
        said = last[-1] if last else "it said nothing"
        raise Failed(f"{os.path.basename(command[0])} ended with {process.returncode}: {said}")
    result["max_rss_mib"] = usage.ru_maxrss / 1024
    result["foreign"] = load.share
    return result
