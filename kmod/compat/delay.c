// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delays at the points of delay.h, set by /sys/module/ufiber/parameters/delay. To
 * write "NUMBER MICROSECONDS [EVERY]" makes each pass of that point, or every
 * EVERY-th of each CPU, take so long. It reads as a line for each point: number,
 * name, microseconds, every, passes so far.
 */
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>

#include "../ufiber.h"

/* A point may be passed with interrupts off. */
#define UF_DELAY_MAX_US 1000

static const char *const uf_delay_names[UF_DELAYS] = {
	[UF_DELAY_OWN] = "own",
	[UF_DELAY_GRANT] = "grant",
	[UF_DELAY_RELEASE] = "release",
	[UF_DELAY_PASS_ON] = "pass_on",
	[UF_DELAY_ROB] = "rob",
	[UF_DELAY_ROBBED] = "robbed",
	[UF_DELAY_QUEUED] = "queued",
	[UF_DELAY_BLOCK] = "block",
	[UF_DELAY_BLOCKED] = "blocked",
	[UF_DELAY_LOSE] = "lose",
	[UF_DELAY_LOST] = "lost",
	[UF_DELAY_SCHED_IN] = "sched_in",
	[UF_DELAY_WAIT_BEGUN] = "wait_begun",
	[UF_DELAY_WAIT_LOOK] = "wait_look",
	[UF_DELAY_WAIT_SLEEP] = "wait_sleep",
	[UF_DELAY_WAIT_END] = "wait_end",
	[UF_DELAY_WAIT_GRANTED] = "wait_granted",
	[UF_DELAY_HANDED_OVER] = "handed_over",
	[UF_DELAY_STAND_ASIDE] = "stand_aside",
	[UF_DELAY_STEP_ASIDE] = "step_aside",
	[UF_DELAY_WOKEN] = "woken",
	[UF_DELAY_HOLD] = "hold",
	[UF_DELAY_GOES_ON] = "goes_on",
	[UF_DELAY_UNBLOCKED] = "unblocked",
	[UF_DELAY_PREEMPTED] = "preempted",
	[UF_DELAY_HELD_LOOK] = "held_look",
	[UF_DELAY_HELD_SLEEP] = "held_sleep",
	[UF_DELAY_HELD_END] = "held_end",
	[UF_DELAY_RECHECK] = "recheck",
	[UF_DELAY_KICK] = "kick",
	[UF_DELAY_INTERRUPT] = "interrupt",
	[UF_DELAY_QUANTUM] = "quantum",
	[UF_DELAY_QUANTUM_START] = "quantum_start",
	[UF_DELAY_RESUME] = "resume",
	[UF_DELAY_RESIZE] = "resize",
	[UF_DELAY_JOIN] = "join",
	[UF_DELAY_LEAVE] = "leave",
	[UF_DELAY_END] = "end",
	[UF_DELAY_CLOSE] = "close",
	[UF_DELAY_EVENT] = "event",
	[UF_DELAY_NOTIFY] = "notify",
	[UF_DELAY_LISTEN] = "listen",
	[UF_DELAY_URING_START] = "uring_start",
	[UF_DELAY_URING_CANCEL] = "uring_cancel",
};

static struct {
	unsigned int us;
	unsigned int every;
} uf_delays[UF_DELAYS];

/*
 * Not an atomic count, which would be a full barrier where the point is that
 * there might be none.
 */
static DEFINE_PER_CPU(unsigned int[UF_DELAYS], uf_delay_passes);

void uf_delay(enum uf_delay point)
{
	unsigned int us = READ_ONCE(uf_delays[point].us);
	unsigned int every = READ_ONCE(uf_delays[point].every);
	unsigned int pass = this_cpu_inc_return(uf_delay_passes[point]);

	if (us && (every <= 1 || pass % every == 0))
		udelay(us);
}

static int uf_delay_set(const char *text, const struct kernel_param *param)
{
	unsigned int point, us, every = 1;

	if (sscanf(text, "%u %u %u", &point, &us, &every) < 2)
		return -EINVAL;
	if (point >= UF_DELAYS || us > UF_DELAY_MAX_US)
		return -ERANGE;
	WRITE_ONCE(uf_delays[point].every, every);
	WRITE_ONCE(uf_delays[point].us, us);
	return 0;
}

static int uf_delay_get(char *text, const struct kernel_param *param)
{
	unsigned int point, passes;
	int cpu, len = 0;

	for (point = 0; point < UF_DELAYS; point++) {
		passes = 0;
		for_each_possible_cpu(cpu)
			passes += per_cpu(uf_delay_passes[point], cpu);
		len += scnprintf(text + len, PAGE_SIZE - len,
				 "%u %s %u %u %u\n", point,
				 uf_delay_names[point], uf_delays[point].us,
				 uf_delays[point].every, passes);
	}
	return len;
}

static const struct kernel_param_ops uf_delay_ops = {
	.set = uf_delay_set,
	.get = uf_delay_get,
};

module_param_cb(delay, &uf_delay_ops, NULL, 0600);
MODULE_PARM_DESC(delay, "NUMBER MICROSECONDS [EVERY]: dawdle at that point");
