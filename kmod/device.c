// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ufiber: the file operations, and loading and unloading.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "ufiber.h"

static int uf_open(struct inode *inode, struct file *file)
{
	struct uf_domain *domain = uf_domain_new();

	if (!domain)
		return -ENOMEM;
	file->private_data = domain;
	return nonseekable_open(inode, file);
}

static int uf_close(struct inode *inode, struct file *file)
{
	uf_domain_close(file->private_data);
	return 0;
}

/*
 * All of the shared memory or nothing, and only for the domain's own process. A
 * forked child does not inherit it (VM_DONTCOPY): it is not registered, and its
 * writes would disturb the parent.
 */
static int uf_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct uf_domain *domain = file->private_data;

	/* Pairs with the release in uf_domain_setup(). */
	if (!smp_load_acquire(&domain->ready))
		return -EBADFD;
	if (current->mm != domain->mm)
		return -EPERM;
	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != domain->memory_size ||
	    !(vma->vm_flags & VM_SHARED) || (vma->vm_flags & VM_EXEC))
		return -EINVAL;
	uf_vm_flags_clear(vma, VM_MAYEXEC);
	uf_vm_flags_set(vma, VM_DONTCOPY);
	return uf_memory_map(vma, domain->memory);
}

static const struct file_operations uf_fops = {
	.owner = THIS_MODULE,
	.open = uf_open,
	.release = uf_close,
	.unlocked_ioctl = uf_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = uf_mmap,
	.poll = uf_poll,
	.uring_cmd = uf_uring_cmd,
	.show_fdinfo = uf_show_fdinfo,
};

static struct miscdevice uf_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ufiber",
	.fops = &uf_fops,
	.mode = 0600,
};

static int __init uf_init(void)
{
	int ret;

	uf_workqueue = alloc_workqueue("ufiber", WQ_UNBOUND, 0);
	if (!uf_workqueue)
		return -ENOMEM;
	ret = uf_hook_init();
	if (ret)
		goto destroy_workqueue;
	ret = misc_register(&uf_misc);
	if (ret)
		goto exit_hook;
	uf_debugfs_init();
	return 0;

exit_hook:
	uf_hook_exit();
destroy_workqueue:
	destroy_workqueue(uf_workqueue);
	return ret;
}

/*
 * No file is open and no thread registered, or there would be references to the
 * module. What may still be under way is the tail of the last functions: of
 * uf_thread_free() on the workqueue, and of resume work in a task that has just
 * let go of its registration, which synchronize_rcu_tasks() waits for.
 */
static void __exit uf_exit(void)
{
	uf_debugfs_exit();
	misc_deregister(&uf_misc);
	uf_hook_exit();
	destroy_workqueue(uf_workqueue);
	synchronize_rcu_tasks();
}

module_init(uf_init);
module_exit(uf_exit);

MODULE_DESCRIPTION("User fibers that block in the kernel without stopping their neighbours");
MODULE_AUTHOR("The ufiber developers");
MODULE_LICENSE("GPL");
