# SPDX-License-Identifier: GPL-2.0
"""Archives the kernel unpacks as initramfs (cpio, newc)."""


def _entry(number, name, mode, data):
    name = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % f for f in fields) + name
    pad = b"\0" * (-len(header) % 4)
    return header + pad + data + b"\0" * (-len(data) % 4)


def archive(files):
    """files: name -> (permissions, bytes)"""
    out = [_entry(i + 1, name, 0o100000 | perm, data)
           for i, (name, (perm, data)) in enumerate(files.items())]
    out.append(_entry(0, "TRAILER!!!", 0, b""))
    return b"".join(out)
