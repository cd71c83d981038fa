// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/ufiber/domains: all domains, for root. The text of each is
 * that of its /proc/PID/fdinfo/FD.
 *
 * uf_domains_mutex guards the list of those that are set up and open. It is held
 * while a domain is printed, so that the domain stays; setting up another one, or
 * closing one, waits for that.
 */
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pid_namespace.h>
#include <linux/seq_file.h>

#include "ufiber.h"

static DEFINE_MUTEX(uf_domains_mutex);
static LIST_HEAD(uf_domains);
static struct dentry *uf_debugfs;

/* @domain has been set up. Context: task, with its setup_mutex held. */
void uf_debugfs_add(struct uf_domain *domain)
{
	mutex_lock(&uf_domains_mutex);
	list_add_tail(&domain->all, &uf_domains);
	mutex_unlock(&uf_domains_mutex);
}

/* Its file is being closed. */
void uf_debugfs_remove(struct uf_domain *domain)
{
	mutex_lock(&uf_domains_mutex);
	list_del_init(&domain->all);
	mutex_unlock(&uf_domains_mutex);
}

static void *uf_domains_start(struct seq_file *m, loff_t *pos)
{
	mutex_lock(&uf_domains_mutex);
	return seq_list_start(&uf_domains, *pos);
}

static void *uf_domains_next(struct seq_file *m, void *v, loff_t *pos)
{
	return seq_list_next(v, &uf_domains, pos);
}

static void uf_domains_stop(struct seq_file *m, void *v)
{
	mutex_unlock(&uf_domains_mutex);
}

static int uf_domains_show(struct seq_file *m, void *v)
{
	uf_show_domain(m, list_entry(v, struct uf_domain, all), &init_pid_ns);
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations uf_domains_sops = {
	.start = uf_domains_start,
	.next = uf_domains_next,
	.stop = uf_domains_stop,
	.show = uf_domains_show,
};

DEFINE_SEQ_ATTRIBUTE(uf_domains);

/* Errors are debugfs's own to report; the module works without. */
void uf_debugfs_init(void)
{
	uf_debugfs = debugfs_create_dir("ufiber", NULL);
	debugfs_create_file("domains", 0400, uf_debugfs, NULL,
			    &uf_domains_fops);
}

void uf_debugfs_exit(void)
{
	debugfs_remove(uf_debugfs);
}
