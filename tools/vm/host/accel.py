# SPDX-License-Identifier: GPL-2.0
"""Does KVM work here?  Only a boot tells: /dev/kvm may be there and fail."""

import os
import subprocess

from . import machine, memfile

SECONDS = 10


def _probe(kernel, initramfs):
    with open(initramfs, "rb") as f:
        fd = memfile.from_bytes("initramfs", f.read())
    args = machine.base_args("kvm", kernel, fd, machine.CMDLINE + " ufiber.probe", "512M", 1)
    vm = subprocess.Popen(args + ["-serial", "stdio"], pass_fds=[fd], start_new_session=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    os.close(fd)
    # The deadline must hold although QEMU stays, paused and silent, on a failure.
    guard = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "sleep", str(SECONDS)])
    try:
        os.set_blocking(vm.stdout.fileno(), False)
        out = b""
        while guard.poll() is None:
            part = vm.stdout.read()
            if part == b"" and vm.poll() is not None:
                break
            out += part or b""
            if b"probe ok" in out:
                return True
            if b"KVM internal error" in out or b"failed" in out:
                return False
            try:
                guard.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
        return b"probe ok" in out
    finally:
        for p in (vm, guard):
            p.kill()
            p.wait()
        vm.stdout.close()


def choose(kernel, initramfs, cache_dir, say):
    """"kvm" or "tcg".  The probe's result holds until the machine boots again."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    with open("/proc/sys/kernel/random/boot_id") as f:
        boot = f.read().strip()
    cache = os.path.join(cache_dir, "accel")
    try:
        with open(cache) as f:
            known = f.read().split()
        if len(known) == 2 and known[0] == boot and known[1] in ("kvm", "tcg"):
            return known[1]
    except OSError:
        pass
    say("trying KVM (once per boot of this machine)")
    accel = "kvm" if _probe(kernel, initramfs) else "tcg"
    say("KVM works" if accel == "kvm" else "KVM does not work here: using emulation")
    with open(f"{cache}.{os.getpid()}", "w") as f:
        f.write(f"{boot} {accel}\n")
    os.rename(f.name, cache)
    return accel
