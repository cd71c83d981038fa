/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef UF_OFFLOAD_H
#define UF_OFFLOAD_H

#include <pthread.h>
#include <stdbool.h>

struct uf_job;

/**
 * struct uf_offload - a pool of plain threads; see offload.c
 * @lock: for the rest.
 * @more: a job has come, or all shall end.
 * @none: the last thread has ended.
 * @head: the first job.
 * @tail: the last, if there is one.
 * @nr_threads: threads there are.
 * @nr_idle: of those, that wait for a job, or have not begun to look for one.
 * @nr_jobs: that no thread has begun: in the list, or about to be.
 * @max_threads: how many there may be (C).
 * @stop: they shall end.
 * @ended: the thread that ended last, if @has_ended: joined by the next to end.
 */
struct uf_offload {
	pthread_mutex_t lock;
	pthread_cond_t more;
	pthread_cond_t none;
	struct uf_job *head;
	struct uf_job *tail;
	unsigned int nr_threads;
	unsigned int nr_idle;
	unsigned int nr_jobs;
	unsigned int max_threads;
	bool stop;
	bool has_ended;
	pthread_t ended;
};

int uf_offload_init(struct uf_offload *pool, unsigned int max_threads);
void uf_offload_stop(struct uf_offload *pool);

#endif /* UF_OFFLOAD_H */
