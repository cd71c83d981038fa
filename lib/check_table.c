// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The table of addresses of the checked build: for each what is there, or was. It
 * is in parts, each with a lock. An address that has been put in stays, marked
 * gone when its object is, until its part has to grow.
 *
 * The locks are taken in the critical section, as all spin locks are; memory is got
 * outside. Nothing is put in by who is in it already, only looked up and marked.
 */
#include <string.h>
#include <sys/mman.h>

#include "check_table.h"
#include "spin.h"

#define UF_PARTS 64
#define UF_PART_FIRST 64

/* 0 as its address: empty. */
struct entry {
	uintptr_t address;
	uint16_t kind;
	bool gone;
	uint64_t id;
};

/* A hash table; @size is a power of two. */
struct array {
	size_t size;
	struct entry entries[];
};

/**
 * struct part - addresses of one hash
 * @lock: for the rest.
 * @nr: how many entries of @array are not empty (L).
 * @array: the table (L); NULL means @first. Replaced by one store, as the child of a
 *	fork() may come between any two.
 * @first: what there is before any memory was got.
 * @room: its entries.
 */
static struct part {
	uint32_t lock;
	size_t nr;
	struct array *array;
	struct array first;
	struct entry room[UF_PART_FIRST];
} __cacheline_aligned parts[UF_PARTS];
_Static_assert(offsetof(struct part, room) ==
		       offsetof(struct part, first) + sizeof(struct array),
	       "the first entries stand behind their head");

/* Some address could not be put in, so nobody can say that one is not known. */
static bool lost;

/* Some that are gone have been dropped to make room. */
static bool forgetful;

bool uf_knows_all(void)
{
	return !READ_ONCE(lost);
}

bool uf_knows_all_past(void)
{
	return uf_knows_all() && !READ_ONCE(forgetful);
}

static uint64_t hash(uintptr_t address)
{
	return (address >> 3) * 0x9e3779b97f4a7c15;
}

static struct part *part_of(uintptr_t address)
{
	return &parts[hash(address) >> 58];
}

/* Also for who is in the critical section, and stays there. */
static struct uf_thread *lock(struct part *part)
{
	struct uf_thread *t = uf_thread_self();

	if (t && READ_ONCE(t->shared->critical))
		t = NULL;
	else if (t)
		uf_enter_self(t);
	uf_spin_lock(&part->lock);
	if (unlikely(!part->array)) {
		part->first.size = UF_PART_FIRST;
		WRITE_ONCE(part->array, &part->first);
	}
	return t;
}

static void unlock(struct uf_thread *t, struct part *part)
{
	uf_spin_unlock(&part->lock);
	uf_leave(t);
}

/* Its entry, or the empty one that it would have. */
static struct entry *find(struct array *array, uintptr_t address)
{
	size_t i = hash(address) >> 16;

	for (;; i++) {
		struct entry *entry = &array->entries[i & (array->size - 1)];

		if (!entry->address || entry->address == address)
			return entry;
	}
}

static bool is_full(const struct part *part)
{
	return part->nr >= part->array->size / 4 * 3;
}

/* What the next table must hold. The lock is held. */
static size_t size_needed(const struct part *part)
{
	const struct array *array = part->array;
	size_t alive = 0, i;

	for (i = 0; i < array->size; i++)
		alive += array->entries[i].address && !array->entries[i].gone;
	return alive < array->size / 4 ? array->size : 2 * array->size;
}

static size_t bytes_of(size_t size)
{
	return sizeof(struct array) + size * sizeof(struct entry);
}

/* Outside the critical section. */
static struct array *new_array(size_t size)
{
	struct array *array = mmap(NULL, bytes_of(size), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (array == MAP_FAILED)
		return NULL;
	array->size = size;
	return array;
}

/* Go over to a larger table, without those that are gone. The lock is held. */
static void move_to(struct part *part, struct array *new)
{
	struct array *old = part->array;
	size_t nr = 0, i;

	for (i = 0; i < old->size; i++) {
		if (!old->entries[i].address)
			continue;
		if (old->entries[i].gone) {
			WRITE_ONCE(forgetful, true);
			continue;
		}
		*find(new, old->entries[i].address) = old->entries[i];
		nr++;
	}
	part->nr = nr;
	smp_store_release(&part->array, new);
}

/* See to it that there is room, if any can be had. Returns the thread for unlock(). */
static struct uf_thread *lock_with_room(struct part *part)
{
	struct uf_thread *t = lock(part);
	struct array *new, *unused;
	size_t size;

	while (unlikely(is_full(part))) {
		size = size_needed(part);
		unlock(t, part);
		new = new_array(size);
		t = lock(part);
		if (!new)
			break;
		/* Somebody else may have been first. */
		unused = new;
		if (is_full(part) && size_needed(part) <= size) {
			unused = part->array;
			move_to(part, new);
		}
		unlock(t, part);
		if (unused != &part->first)
			munmap(unused, bytes_of(unused->size));
		t = lock(part);
	}
	return t;
}

/**
 * uf_check_born - from now on there is an object at this address
 * @kind: what it is.
 * @object: the address. What is known of it so far is forgotten.
 *
 * Not for the critical section.
 */
void uf_check_born(enum uf_kind kind, const void *object)
{
	uintptr_t address = (uintptr_t)object;
	struct part *part = part_of(address);
	struct uf_thread *t;
	struct entry *entry;

	uf_fork_init();
	t = lock_with_room(part);
	entry = find(part->array, address);

	if (!entry->address && part->nr + 1 >= part->array->size) {
		WRITE_ONCE(lost, true);
	} else {
		part->nr += !entry->address;
		*entry = (struct entry){ .address = address, .kind = kind };
	}
	unlock(t, part);
}

/* There is none any more; @id is what to remember of a fiber. */
void uf_check_gone(const void *object, uint64_t id)
{
	uintptr_t address = (uintptr_t)object;
	struct part *part = part_of(address);
	struct uf_thread *t = lock(part);
	struct entry *entry = find(part->array, address);

	if (entry->address) {
		entry->gone = true;
		entry->id = id;
	}
	unlock(t, part);
}

struct uf_known uf_known(const void *object)
{
	uintptr_t address = (uintptr_t)object;
	struct part *part = part_of(address);
	struct uf_thread *t = lock(part);
	struct entry *entry = find(part->array, address);
	struct uf_known known = {
		.kind = entry->kind,
		.gone = entry->gone,
		.id = entry->id,
	};

	unlock(t, part);
	return known;
}

/* Its memory is there as long as the entry says so: who frees it has marked that. */
static bool is_fiber_of(const struct entry *entry, const struct uf_runtime *rt)
{
	const struct uf_fiber *fiber = (const struct uf_fiber *)entry->address;

	return entry->address && entry->kind == UF_KIND_FIBER && !entry->gone &&
	       fiber->rt == rt;
}

/* A runtime ends, and with it those of its fibers that nobody has joined. */
void uf_check_runtime_gone(struct uf_runtime *rt)
{
	struct array *array;
	struct uf_thread *t;
	struct part *part;
	size_t i;

	uf_check_gone(rt, 0);
	for (part = parts; part < parts + UF_PARTS; part++) {
		t = lock(part);
		array = part->array;
		for (i = 0; i < array->size; i++)
			if (is_fiber_of(&array->entries[i], rt))
				array->entries[i].gone = true;
		unlock(t, part);
	}
}

/*
 * In the child of a fork(): who held the locks is not here. What they changed is in
 * order at any moment, but for one entry.
 */
void uf_check_forked(void)
{
	struct part *part;

	for (part = parts; part < parts + UF_PARTS; part++)
		part->lock = 0;
}
