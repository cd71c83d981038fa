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
 * Whoever hits an int3 that is not there has what is there done for him: the jumps,
 * calls and no-operations that the kernel changes code between. To be sent back to
 * execute it may not help, as the CPU may keep its translation for ever: then it, and
 * who waits for it, hangs. A while later a store of what is there to where it is has
 * QEMU forget the translation.
 *
 * In Linux 6.1 kprobes are asked first, and send whoever hits an int3 that is not there
 * back to it. So what can be is kept from being changed while several CPUs run:
 * settle_code() in guest-run, uf_other_cpus() in the selftests.
 */
#include <linux/irq_work.h>
#include <linux/kdebug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <asm/nops.h>
#include <asm/ptrace.h>
#include <asm/text-patching.h>

/* Not printed at once: it may be under a run queue's lock. */
static unsigned int hits;
module_param(hits, uint, 0444);
MODULE_PARM_DESC(hits, "stale breakpoints that were hit");

/* ------------------------------------------------ what has QEMU forget it */

static struct page *page_at(unsigned long at)
{
	if (at >= MODULES_VADDR && at < MODULES_END)
		return vmalloc_to_page((void *)at);
	return pfn_to_page(__pa(at) >> PAGE_SHIFT);
}

/* Atomic, so that no change is undone that comes meanwhile. */
static void store_again(u8 *code)
{
	u8 byte = READ_ONCE(*code);

	cmpxchg(code, byte, byte);
}

static unsigned long last_hit;

static void forget(struct work_struct *work)
{
	unsigned long at = READ_ONCE(last_hit);
	struct page *page = page_at(at);
	u8 *alias = page ? vmap(&page, 1, VM_MAP, PAGE_KERNEL) : NULL;

	if (!alias)
		return;
	store_again(alias + offset_in_page(at));
	vunmap(alias);
}

static DECLARE_WORK(forget_work, forget);

static void queue_forget(struct irq_work *work)
{
	schedule_work(&forget_work);
}

static struct irq_work forget_irq_work = IRQ_WORK_INIT(queue_forget);

/* ---------------------------------------------------- what is done instead */

static const struct {
	u8 size;
	u8 bytes[JMP32_INSN_SIZE];
} nops[] = {
	{ 1, { BYTES_NOP1 } }, { 2, { BYTES_NOP2 } }, { 3, { BYTES_NOP3 } },
	{ 4, { BYTES_NOP4 } }, { 5, { BYTES_NOP5 } },
};

static unsigned int size_of_nop(const u8 *code)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(nops); i++)
		if (!memcmp(code, nops[i].bytes, nops[i].size))
			return nops[i].size;
	return 0;
}

/*
 * Do what @code, found at @at, says. What it does not know is executed: also what is
 * being changed just now, whose int3 the kernel knows.
 */
static void emulate(struct pt_regs *regs, unsigned long at, const u8 *code)
{
	s32 offset;

	memcpy(&offset, code + 1, sizeof(offset));
	switch (code[0]) {
	case JMP8_INSN_OPCODE:
		regs->ip = at + JMP8_INSN_SIZE + (s8)code[1];
		break;
	case JMP32_INSN_OPCODE:
		regs->ip = at + JMP32_INSN_SIZE + offset;
		break;
	case CALL_INSN_OPCODE:
		int3_emulate_call(regs, at + CALL_INSN_SIZE + offset);
		break;
	case RET_INSN_OPCODE:
		int3_emulate_ret(regs);
		break;
	default:
		regs->ip = at + size_of_nop(code);
	}
}

static int on_die(struct notifier_block *block, unsigned long event, void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;
	unsigned long at = regs->ip - INT3_INSN_SIZE;
	u8 code[JMP32_INSN_SIZE];

	if (event != DIE_INT3 || user_mode(regs))
		return NOTIFY_DONE;
	/* The first byte is the last to be changed, and the first to become int3. */
	code[0] = READ_ONCE(*(u8 *)at);
	smp_rmb();
	memcpy(code + 1, (u8 *)at + 1, sizeof(code) - 1);
	smp_rmb();
	if (code[0] == INT3_INSN_OPCODE)
		return NOTIFY_DONE;
	hits++;
	WRITE_ONCE(last_hit, at);
	irq_work_queue(&forget_irq_work);
	if (READ_ONCE(*(u8 *)at) == code[0])
		emulate(regs, at, code);
	else
		regs->ip = at;
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
	irq_work_sync(&forget_irq_work);
	cancel_work_sync(&forget_work);
}

module_init(stale_int3_init);
module_exit(stale_int3_exit);
MODULE_DESCRIPTION("Go on after a breakpoint that is no longer there");
MODULE_LICENSE("GPL");
