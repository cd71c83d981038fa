// SPDX-License-Identifier: GPL-2.0
/*
 * A module that does wrong on demand, for tools/vm/selftest: write the name
 * of a mishap to /dev/vmtest.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/string.h>
#include <linux/uaccess.h>

static bool exit_hangs;

static void warn(void)
{
	WARN(1, "vmtest: a warning");
}

static void bug(void)
{
	BUG();
}

static void atomic_sleep(void)
{
	preempt_disable();
	msleep(20);
	preempt_enable();
}

static void leak(void)
{
	__module_get(THIS_MODULE);
}

static void hang_at_exit(void)
{
	exit_hangs = true;
}

/* All CPUs are to do this for the machine to be dead. */
static void spin(void)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
}

static const struct {
	const char *name;
	void (*happen)(void);
} mishaps[] = {
	{ "warn", warn },
	{ "bug", bug },
	{ "atomic-sleep", atomic_sleep },
	{ "leak", leak },
	{ "hang-at-exit", hang_at_exit },
	{ "spin", spin },
};

static ssize_t vmtest_write(struct file *file, const char __user *buf,
			    size_t len, loff_t *pos)
{
	char name[32] = "";
	int i;

	if (len >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, buf, len))
		return -EFAULT;

	for (i = 0; i < ARRAY_SIZE(mishaps); i++) {
		if (sysfs_streq(name, mishaps[i].name)) {
			mishaps[i].happen();
			return len;
		}
	}
	return -EINVAL;
}

static const struct file_operations vmtest_fops = {
	.owner = THIS_MODULE,
	.write = vmtest_write,
};

static struct miscdevice vmtest_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vmtest",
	.fops = &vmtest_fops,
};

static int __init vmtest_init(void)
{
	return misc_register(&vmtest_dev);
}

static void __exit vmtest_exit(void)
{
	DECLARE_COMPLETION_ONSTACK(never);

	misc_deregister(&vmtest_dev);
	if (exit_hangs)
		wait_for_completion(&never);
}

module_init(vmtest_init);
module_exit(vmtest_exit);
MODULE_DESCRIPTION("Mishaps for the self-test of tools/vm");
MODULE_LICENSE("GPL");
