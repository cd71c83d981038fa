# SPDX-License-Identifier: GPL-2.0
"""Files without a name: nothing is left behind however a run ends."""

import os
import subprocess
import tempfile


def from_bytes(name, *parts):
    fd = os.memfd_create(name)
    for data in parts:
        while data:
            data = data[os.write(fd, data):]
    return fd


def ext4(size, where):
    """A sparse ext4 image of that many bytes in directory where."""
    with tempfile.TemporaryFile(dir=where) as f:
        fd = os.dup(f.fileno())
    os.truncate(fd, size)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,nodiscard",
                    "-L", "ufiber", f"/proc/self/fd/{fd}"],
                   pass_fds=[fd], check=True, stdin=subprocess.DEVNULL)
    return fd
