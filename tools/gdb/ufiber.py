# SPDX-License-Identifier: GPL-2.0
"""Fibers in gdb: of a running program or a core dump.

    (gdb) source tools/gdb/ufiber.py
    (gdb) info fibers               all fibers: what they do and wait for
    (gdb) fiber ID COMMAND          run a command in a fiber: fiber 7 bt
    (gdb) help fiber

libufiber's debugging information is needed (it is built with -g). What a fiber's
frames are is told by its saved registers: nothing is written to the program.
"""
import resource

import gdb
import gdb.unwinder

PAGE = resource.getpagesize()
CACHE_LINE = 64
COLOURS = 32        # UF_STACK_COLOURS of lib/stack.c
HELD = 0xffffffff   # UF_HELD of lib/internal.h

# Of each register where it is in what the switch has saved (struct uf_arch_frame).
X86_64 = {"size": 64, "sp": "rsp", "pc": "rip",
          "at": {"r15": 8, "r14": 16, "r13": 24, "r12": 32, "rbx": 40, "rbp": 48, "rip": 56}}
AARCH64 = {"size": 160, "sp": "sp", "pc": "pc",
           "at": {**{f"x{19 + i}": 8 * i for i in range(12)}, "pc": 88}}


def architecture():
    name = gdb.selected_inferior().architecture().name()
    if name.startswith("i386:x86-64"):
        return X86_64
    if name == "aarch64":
        return AARCH64
    raise gdb.GdbError(f"ufiber: {name} is not known here")


def word(address):
    pointer = gdb.lookup_type("unsigned long").pointer()
    return gdb.Value(address).cast(pointer).dereference()


def runtimes():
    try:
        rt = gdb.parse_and_eval("'debug.c'::runtimes")
    except gdb.error as error:
        raise gdb.GdbError("ufiber: no libufiber here, or no debugging information of it: "
                           f"{error}") from None
    while rt:
        yield rt.dereference()
        rt = rt["debug_next"]


def fibers(rt):
    """Where lib/stack.c has put them; who has an identity is one.

    The checked library puts each at another place of its stack (lib/check_reuse.c).
    """
    kind = gdb.lookup_type("struct uf_fiber")
    checked = gdb.lookup_global_symbol("uf_check_move") is not None
    room = -(-kind.sizeof // CACHE_LINE) * CACHE_LINE
    chunk = rt["stacks"]["arena"]["all"]
    while chunk:
        size = int(chunk["stack_size"])
        slot = PAGE + size
        for i in range(int(chunk["nr_cut"])):
            stack = int(chunk["slots"]) + i * slot + PAGE
            own = stack // slot % COLOURS
            for colour in range(COLOURS) if checked else (own,):
                top = stack + size - colour * CACHE_LINE - room
                fiber = gdb.Value(top).cast(kind.pointer()).dereference()
                if fiber["id"] and fiber["rt"] == rt.address and fiber["stack"] == stack:
                    yield fiber
                    break
        chunk = chunk["next"]


def is_waiting(fiber):
    states = ("UF_WAIT_IO", "UF_WAIT_MUTEX", "UF_WAITING", "UF_WAITING_SHIELDED")
    wait = fiber["wait"]
    if int(wait["state"]) == int(gdb.parse_and_eval("UF_WAITING_ALONE")):
        return not wait["claimed"]
    return int(wait["state"]) in [int(gdb.parse_and_eval(s)) for s in states]


def what_it_waits_for(fiber):
    what, on = fiber["wait"]["what"], int(fiber["wait"]["on"])
    name = what["name"].string()
    if name == "io":
        return f"io: opcode {on & 0xff} of fd {on >> 8}"
    return f"{name} {on - int(what['at']):#x}" if on else name


def runs(fiber):
    return int(fiber["on_cpu"]) not in (0, HELD)


def thread_of(fiber):
    return fiber["rt"]["threads"][int(fiber["on_cpu"]) - 1]


def state_of(fiber):
    if fiber["ended"]:
        return "has ended, and is not joined"
    if fiber["parked"]:
        return "is parked"
    if runs(fiber):
        return f"runs, thread {int(thread_of(fiber)['tid'])}"
    if is_waiting(fiber):
        return f"waits for {what_it_waits_for(fiber)}"
    return "is ready"


class InfoFibers(gdb.Command):
    """List all fibers: what they do, and what they wait for."""

    def __init__(self):
        super().__init__("info fibers", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for rt in runtimes():
            print(f"runtime {int(rt.address):#x}, {int(rt['nr_servers'])} servers")
            for fiber in fibers(rt):
                print(f"fiber {int(fiber['id'])} \"{fiber['name'].string()}\" "
                      f"({int(fiber.address):#x}) {state_of(fiber)}")


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class FiberUnwinder(gdb.unwinder.Unwinder):
    """While it is on, a suspended fiber's innermost frame is the caller of the frame
    in which the selected thread is."""

    def __init__(self):
        super().__init__("ufiber")
        self.saved = None
        self.here = None

    def turn_on(self, saved):
        arch = architecture()
        frame = gdb.newest_frame()
        self.here = [int(frame.read_register(arch[r])) for r in ("sp", "pc")]
        self.saved = saved
        gdb.invalidate_cached_frames()

    def turn_off(self):
        self.saved = None
        gdb.invalidate_cached_frames()

    def __call__(self, pending):
        if not self.saved:
            return None
        arch = architecture()
        registers = [pending.read_register(arch[r]) for r in ("sp", "pc")]
        if [int(r) for r in registers] != self.here:
            return None
        # That frame must not look as if it were further out than the fiber's.
        long = gdb.lookup_type("unsigned long")
        info = pending.create_unwind_info(FrameId(gdb.Value(self.saved).cast(long),
                                                  registers[1]))
        size, at = arch["size"], arch["at"]
        if arch is X86_64 and word(self.saved) == word(self.saved + at["rip"]):
            # The inline switch: it keeps less, and the red zone is still to be undone.
            size, at = size + 128, {name: at[name] for name in ("rbx", "rbp", "rip")}
        for name, offset in at.items():
            info.add_saved_register(name, word(self.saved + offset))
        info.add_saved_register(arch["sp"], gdb.Value(self.saved + size).cast(long))
        return info


UNWINDER = FiberUnwinder()


def find(number):
    for rt in runtimes():
        for fiber in fibers(rt):
            if int(fiber["id"]) == number:
                return fiber
    raise gdb.GdbError(f"ufiber: there is no fiber {number}; see: info fibers")


def run_in_thread(tid, command):
    for thread in gdb.selected_inferior().threads():
        if tid in thread.ptid:
            before = gdb.selected_thread()
            thread.switch()
            gdb.execute(command)
            before.switch()
            return
    raise gdb.GdbError(f"ufiber: gdb knows no thread {tid}")


def run_suspended(fiber, command):
    gdb.newest_frame().select()
    UNWINDER.turn_on(int(fiber["ctx"]["sp"]))
    try:
        if command.split()[0] in ("bt", "backtrace", "where"):
            # Without the thread's own frame.
            text = gdb.execute(command, to_string=True)
            print(text[text.index("\n#1 ") + 1:] if "\n#1 " in text else text, end="")
        else:
            gdb.newest_frame().older().select()
            gdb.execute(command)
    finally:
        UNWINDER.turn_off()
        gdb.newest_frame().select()


class Fiber(gdb.Command):
    """Run a command in a fiber: fiber ID COMMAND, such as fiber 7 bt.
ID is the fiber's identity, see: info fibers. Of a fiber that is suspended frames are
numbered from 1, and that is selected."""

    def __init__(self):
        super().__init__("fiber", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        number, _, command = argument.strip().partition(" ")
        if not number.isdigit() or not command.strip():
            raise gdb.GdbError("usage: fiber ID COMMAND, such as: fiber 7 bt")
        fiber = find(int(number))
        if fiber["ended"]:
            raise gdb.GdbError(f"ufiber: fiber {number} has ended")
        if runs(fiber):
            run_in_thread(int(thread_of(fiber)["tid"]), command)
        else:
            run_suspended(fiber, command)


InfoFibers()
Fiber()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)
