# SPDX-License-Identifier: GPL-2.0
"""One VM from start to end: relay its output, follow its steps, end it."""

import os
import selectors
import socket
import subprocess
import time

from . import klog, machine

# From COMMAND's end to the module's, and from there to the VM's: writing back
# files, the search for leaks.
AFTER_SECONDS = 60
HANG_DUMP_SECONDS = 3


class Session:
    """
    After run(), what became of it:
      end       "done", "died", "timeout"
      status    COMMAND's exit status, or None
      started   COMMAND was started
      failure   (step, text) the guest reported, or None
      log       klog.Log
      console   what came over the serial console
    """

    def __init__(self, args, fds, timeout, verbose, say):
        self.args = args
        self.fds = fds
        self.timeout = timeout
        self.verbose = verbose
        self.say = say
        self.end = None
        self.status = None
        self.started = False
        self.failure = None
        self.log = klog.Log()
        self.console = b""
        self.qemu_said = b""
        self.times = {}
        self.control = b""
        self.vm = None
        self.select = selectors.DefaultSelector()
        self.ours = {}

    def run(self):
        try:
            self._start()
            self._follow()
        finally:
            self.kill()
            self._drain()
            self.select.close()
            for end in self.ours.values():
                end.close()

    def _start(self):
        theirs = {}
        for name in machine.PORTS + ("console", "monitor"):
            self.ours[name], theirs[name] = socket.socketpair()
        fds = {name: end.fileno() for name, end in theirs.items()}
        args = self.args + machine.port_args(fds)
        for name, use in (("console", "-serial"), ("monitor", "-monitor")):
            args += machine.socket_args(name, fds[name]) + [use, f"chardev:{name}"]
        if self.verbose:
            self.say(" ".join(args))
        self.begin = time.monotonic()
        errors, errors_in = os.pipe()
        self.vm = subprocess.Popen(args, pass_fds=list(fds.values()) + self.fds,
                                   stdin=subprocess.DEVNULL, stdout=errors_in,
                                   stderr=errors_in, start_new_session=True)
        os.close(errors_in)
        self.ours["qemu"] = os.fdopen(errors, "rb", 0)
        for end in theirs.values():
            end.close()
        for name, end in self.ours.items():
            os.set_blocking(end.fileno(), False)
            if name != "monitor":
                self.select.register(end, selectors.EVENT_READ, name)

    def _follow(self):
        latest = deadline = self.begin + self.timeout
        while self.end is None:
            left = deadline - time.monotonic()
            if left <= 0:
                self.end = "timeout"
                self._dump_hang()
                return
            for key, _ in self.select.select(left):
                self._receive(key.fileobj, key.data)
            if "exit" in self.times:
                step = self.times.get("unloaded", self.times["exit"])
                deadline = min(latest, self.begin + step + AFTER_SECONDS)
            if self.end is None and not self.select.get_map():
                self.vm.wait()      # QEMU closed all, so it is ending
                self.end = "died"
        # The last lines of the log may still be on their way.
        if self.end == "done":
            self._gather(2, lambda: self.log.complete)

    def _gather(self, seconds, enough):
        until = time.monotonic() + seconds
        while not enough() and (left := until - time.monotonic()) > 0:
            for key, _ in self.select.select(left):
                self._receive(key.fileobj, key.data)
            if not self.select.get_map():
                return

    def _drain(self):
        while self.select.get_map():
            for key, _ in self.select.select(1) or [(None, None)]:
                if key is None:
                    return
                self._receive(key.fileobj, key.data)

    def _receive(self, end, name):
        try:
            data = os.read(end.fileno(), 65536)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.select.unregister(end)
            return
        if name == "stdout":
            write_all(1, data)
        elif name == "stderr":
            write_all(2, data)
        elif name == "log":
            self.log.feed(data)
        elif name == "console":
            self.console += data
            if self.verbose:
                write_all(2, data)
        elif name == "qemu":
            self.qemu_said += data
        elif name == "control":
            *whole, self.control = (self.control + data).split(b"\n")
            for line in whole:
                self._step(line.decode(errors="replace"))

    def _step(self, line):
        step, _, text = line.partition(" ")
        self.times[step] = time.monotonic() - self.begin
        if step == "run":
            self.started = True
        elif step == "exit":
            self.status = int(text)
        elif step.endswith("-failed"):
            self.failure = (step[:-len("-failed")], text)
        elif step == "done":
            self.end = "done"

    def _dump_hang(self):
        """Have the guest's kernel say where its tasks are: it ends up in the log."""
        for key in "9wl":
            try:
                self.ours["monitor"].send(b"chardev-send-break console\n", socket.MSG_NOSIGNAL)
                time.sleep(0.1)
                self.ours["console"].send(key.encode(), socket.MSG_NOSIGNAL)
            except OSError:
                return
            self._gather(HANG_DUMP_SECONDS / 3, lambda: False)

    def kill(self):
        if self.vm and self.vm.poll() is None:
            self.vm.kill()
        if self.vm:
            self.vm.wait()

    def kernel_log(self):
        """(all lines, lines by the kernel itself); the console's if it has more."""
        console = self.console.decode(errors="replace").replace("\r", "").splitlines()
        if self.log.complete or not console:
            return self.log.lines, self.log.kernel
        known = set(self.log.lines)
        # The console has what the log port could not take any more, in a crash.
        missing = [line for line in console if line not in known]
        return self.log.lines + missing, self.log.kernel + missing


def write_all(fd, data):
    while data:
        try:
            data = data[os.write(fd, data):]
        except BlockingIOError:
            selector = selectors.DefaultSelector()
            selector.register(fd, selectors.EVENT_WRITE)
            selector.select()
            selector.close()
