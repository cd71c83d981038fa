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
# Above the first line: a rule, then perhaps WARN's own message.
LEAD_IN = re.compile(r"-+\[ cut here \]-+|={20,}$")
LEAD_IN_REACH = 3
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
        start = next((j for j in range(i - 1, max(i - 1 - LEAD_IN_REACH, -1), -1)
                      if LEAD_IN.match(text(lines[j]))), i)
        end = _end(lines, i)
        found.append(lines[start:end])
        i = end
    return found


def _end(lines, first):
    traced = False
    for i in range(first + 1, min(first + LONGEST, len(lines))):
        line = text(lines[i])
        if LAST_LINE.match(line):
            return i + 1
        if line.startswith("ufiber-vm: ") or LEAD_IN.match(line) and traced:
            return i
        if FIRST_LINE.match(line) and traced:
            return i
        traced = traced or line.strip() == "</TASK>"
    return min(first + LONGEST, len(lines))


def find_panic(lines):
    """The first line of a panic, or None."""
    return next((line for line in lines if PANIC.match(text(line))), None)
