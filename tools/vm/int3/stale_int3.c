// SPDX-License-Identifier: GPL-2.0
/*
 * For test VMs whose processors are emulated.
 *
 * The kernel changes its code (static branches, tracepoints) while other CPUs run
 * it: first to int3, then to the new instruction, with an interrupt to all CPUs
 * after each step; so when it has forgotten the place, nobody can meet the int3 any
 * more. QEMU's multi-threaded emulation does not keep to that: a CPU may execute an
 * int3 that it translated before and that memory no longer has. To the kernel that
 * is a trap of nobody's: "Oops: int3".
 *
 * Whoever hits an int3 that is not there is sent back to execute what is.
 */
#include <linux/kdebug.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <asm/ptrace.h>
#include <asm/text-patching.h>

/* Not printed at once: it may be under a run queue's lock. */
static unsigned int hits;
module_param(hits, uint, 0444);
MODULE_PARM_DESC(hits, "stale breakpoints that were hit");

static int on_die(struct notifier_block *block, unsigned long event, void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;
	unsigned long at = regs->ip - INT3_INSN_SIZE;

	if (event != DIE_INT3 || user_mode(regs) ||
	    READ_ONCE(*(u8 *)at) == INT3_INSN_OPCODE)
		return NOTIFY_DONE;
	regs->ip = at;
	hits++;
	return NOTIFY_STOP;
}

static struct notifier_block block = { .notifier_call = on_die };

static int __init stale_int3_init(void)
{
	return register_die_notifier(&block);
}

static void __exit stale_int3_exit(void)
{
	unregister_die_notifier(&block);
}

module_init(stale_int3_init);
module_exit(stale_int3_exit);
MODULE_DESCRIPTION("Go on after a breakpoint that is no longer there");
MODULE_LICENSE("GPL");
