# SPDX-License-Identifier: GPL-2.0
"""QEMU's command line."""

import os

PORTS = ("control", "stdout", "stderr", "log")

# cryptomgr.notests: the self-tests keep the guest busy for seconds after boot.
# nokaslr: the same addresses in each run, so that -icount figures repeat.
# tsc=reliable: an emulated TSC cannot drift, but on a busy host its watchdog
# thinks so and turns to a clock that costs an exit per reading.
CMDLINE = ("console=ttyS0 quiet loglevel=5 log_buf_len=4M nokaslr cryptomgr.notests "
           "oops=panic panic=-1 tsc=reliable sysrq_always_enabled")

# One task group: else what is measured depends on how deep COMMAND's is nested.
ICOUNT_CMDLINE = " noautogroup"

QEMU = "qemu-system-x86_64"


def fd_path(fd):
    return f"/proc/self/fd/{fd}"


def base_args(accel, kernel, initrd_fd, cmdline, mem, smp):
    if accel == "icount":
        cmdline += ICOUNT_CMDLINE
    args = [
        # If tools/vm/run is killed, even by SIGKILL, the VM goes with it.
        "setpriv", "--pdeathsig", "KILL",
        QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "pc", "-m", mem, "-smp", str(smp),
        "-kernel", kernel, "-initrd", fd_path(initrd_fd), "-append", cmdline,
    ]
    if accel == "kvm":
        return args + ["-accel", "kvm", "-cpu", "host"]
    if accel == "icount":
        args += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
    else:
        args += ["-accel", "tcg,thread=multi"]
    # Five-level page tables only make each walk longer.
    return args + ["-cpu", "max,la57=off"]


def share_args(tag, path, readonly):
    # QEMU's option lists have ',' doubled.
    path = path.replace(",", ",,")
    return ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap"
            + (",readonly=on" if readonly else ""),
            "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def socket_args(name, fd):
    return ["-chardev", f"socket,id={name},fd={fd}"]


def port_args(fds):
    args = ["-device", "virtio-serial-pci,max_ports=8"]
    for name in PORTS:
        args += socket_args(name, fds[name])
        args += ["-device", f"virtserialport,chardev={name},name=ufiber.{name}"]
    return args


def disk_args(fd, iops, bps):
    # The disk lives as long as the VM, so the host need not sync it: the
    # throttle alone decides how slow it is.
    drive = f"file={fd_path(fd)},format=raw,if=none,id=disk,cache=unsafe,discard=unmap"
    if iops:
        drive += f",throttling.iops-total={iops}"
    if bps:
        drive += f",throttling.bps-total={bps}"
    return ["-drive", drive, "-device", "virtio-blk-pci,drive=disk"]


def find_qemu():
    return any(os.access(os.path.join(d, QEMU), os.X_OK)
               for d in os.environ.get("PATH", os.defpath).split(os.pathsep))
