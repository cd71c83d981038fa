# SPDX-License-Identifier: GPL-2.0
"""/dev/kmsg records to lines of a kernel log."""

import re

RECORD = re.compile(rb"^(\d+),(\d+),(\d+),[^;]*;(.*)$")
ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
END = "ufiber-vm: end of log"


class Log:
    """Collects the stream that the guest reads from /dev/kmsg."""

    def __init__(self):
        self.rest = b""
        self.seen = -1
        self.lines = []     # all
        self.kernel = []    # without what programs wrote to /dev/kmsg
        self.complete = False

    def feed(self, data):
        *whole, self.rest = (self.rest + data).split(b"\n")
        for raw in whole:
            self._record(raw)

    def _record(self, raw):
        match = RECORD.match(raw)
        if not match:
            return          # a record's " KEY=value" lines
        prio, seq, usec = (int(g) for g in match.groups()[:3])
        if seq <= self.seen:
            return          # the guest reopened /dev/kmsg and reads it again
        self.seen = seq
        text = ESCAPE.sub(lambda m: chr(int(m[1], 16)),
                          match[4].decode(errors="replace"))
        from_kernel = prio >> 3 == 0
        for part in text.split("\n"):
            line = f"[{usec // 1000000:5d}.{usec % 1000000:06d}] {part}"
            self.lines.append(line)
            if from_kernel:
                self.kernel.append(line)
        if text == END and not from_kernel:
            self.complete = True
