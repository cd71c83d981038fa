# SPDX-License-Identifier: GPL-2.0
"""What a kernel log says when something is wrong, and how far it goes on."""

import re

# "[   12.345678] ", with the console's "[    T1] " or "[  C0] " behind it.
STAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")

FIRST_LINE = re.compile("|".join([
    r"WARNING: ",                   # WARN_ON and lockdep both
    r"BUG: ",                       # KASAN, KCSAN, atomic sleep, bad pointer
    r"BUG \S+ \(",                  # slab
    r"kernel BUG at ",
    r"watchdog: .*(BUG: |LOCKUP)",  # soft and hard lockups
    r"(Oops|general protection fault|divide error|double fault|invalid opcode|"
    r"stack segment|int3|traps)[^[]*: [0-9a-f]{4} \[#\d+\]",
    r"Oops: ",
    r"UBSAN: ",
    r"refcount_t: ",
    r"(list_add|list_del) corruption",
    r"(rcu: )?INFO: .*(detected|stall|blocked for more than)",
    r"INFO: trying to register non-static key",
    r"rcu: .*\bstall",
    r"workqueue: .*leaked",
    r"kmemleak: \d+ new suspected",
    r"ODEBUG: ",
    r"kmem_cache_destroy .*still has objects",
    r"irq \d+: nobody cared",
    r"sched: Unexpected reschedule",
    r"DEBUG_LOCKS_WARN_ON",
]))

PANIC = re.compile(r"Kernel panic - not syncing")
LEAD_IN = re.compile(r"-+\[ cut here \]-+|={20,}|-{20,}$|\s*$")
LAST_LINE = re.compile(r"---\[ end ")
LONGEST = 80


def text(line):
    return STAMP.sub("", line)


def find(lines):
    """The splats in a log, each a list of its lines."""
    found = []
    i = 0
    while i < len(lines):
        if not FIRST_LINE.match(text(lines[i])):
            i += 1
            continue
        start = i
        while start > 0 and i - start < 2 and LEAD_IN.match(text(lines[start - 1])):
            start -= 1
        end = i + 1
        while end < len(lines) and end - i < LONGEST and not LAST_LINE.match(text(lines[end - 1])):
            if text(lines[end]).startswith("ufiber-vm: "):
                break
            end += 1
        found.append(lines[start:end])
        i = end
    return found


def find_panic(lines):
    """The first line of a panic, or None."""
    return next((line for line in lines if PANIC.match(text(line))), None)
