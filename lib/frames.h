/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The frames of a context, found by the unwinder of libgcc. */
#ifndef UF_FRAMES_H
#define UF_FRAMES_H

/* Of each context so many, the innermost. */
#define UF_FRAMES 64

/**
 * struct uf_frames - where the functions of a context go on, innermost first
 * @address: these.
 * @nr: how many.
 * @skip: the frames up to uf_arch_unwind() are not the context's; to come.
 */
struct uf_frames {
	void *address[UF_FRAMES];
	unsigned int nr;
	int skip;
};

/* frames.c */
void uf_frames_of_caller(struct uf_frames *frames);
void uf_frames_of_context(struct uf_frames *frames, void *sp);

/* arch/: see arch/x86_64/unwind.S. */
void uf_arch_unwind(void *sp, void (*call)(void *arg), void *arg);

#endif /* UF_FRAMES_H */
