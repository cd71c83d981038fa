/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A domain of one server with a thread in every state, and children that set
 * one up, so that the test can do to a whole process what it is about.
 *
 * What stops or interrupts all threads makes each lose its server to one that is
 * not stopped yet, and so on. So it is not said who has the server afterwards;
 * but nothing may be lost: uf_scene_end() sees every thread finish what it was
 * at, with the result that it would have had.
 */
#ifndef UF_SCENE_H
#define UF_SCENE_H

#include "uf_lib.h"

enum { UF_BLOCKED, UF_HELD, UF_RUNNING, UF_PARKED, UF_STANDBY, UF_SCENE_THREADS };

struct uf_scene {
	struct uf_dom d;
	struct uf_thread t[UF_SCENE_THREADS];
	int blocked[2], held[2];	/* the pipes that two of them read from */
};

extern const char *const uf_scene_names[UF_SCENE_THREADS];

bool uf_scene_set(struct uf_scene *s);
/* All are in their states, as if nothing had happened. */
bool uf_scene_holds(struct uf_scene *s);
/* All finish what they were at; the domain is closed. */
bool uf_scene_end(struct uf_scene *s);

/* A child process that goes on step by step, as it is told. */
struct uf_child {
	pid_t pid;
	int up[2], down[2];
};

/* The child is forked and has reached its first UF_CHILD_STEP(). */
#define UF_CHILD(ch, ...)						\
	do {								\
		ASSERT_EQ(0, pipe2((ch)->up, O_CLOEXEC));		\
		ASSERT_EQ(0, pipe2((ch)->down, O_CLOEXEC));		\
		(ch)->pid = uf_fork();					\
		ASSERT_LE(0, (ch)->pid);				\
		if (!(ch)->pid) {					\
			close((ch)->up[0]);				\
			close((ch)->down[1]);				\
			__VA_ARGS__;					\
			_exit(_metadata->exit_code);			\
		}							\
		close((ch)->up[1]);					\
		close((ch)->down[0]);					\
		UF_AWAIT_STEP(ch);					\
	} while (0)

/* In the child: say that it is there, and wait to be let go on. */
#define UF_CHILD_STEP(ch)						\
	do {								\
		ASSERT_EQ(0, uf_put((ch)->up[1]));			\
		ASSERT_EQ(1, uf_get((ch)->down[0]));			\
	} while (0)

#define UF_AWAIT_STEP(ch) \
	ASSERT_EQ(1, uf_get((ch)->up[0])) TH_LOG("the child has failed")

#define UF_NEXT_STEP(ch) \
	ASSERT_EQ(0, uf_put((ch)->down[1]))

#define UF_CHILD_CLOSE(ch)						\
	do {								\
		close((ch)->up[0]);					\
		close((ch)->down[1]);					\
	} while (0)

/* Let it go on for the last time; it ends without having failed. */
#define UF_CHILD_END(ch)						\
	do {								\
		int _status;						\
									\
		UF_NEXT_STEP(ch);					\
		ASSERT_EQ((ch)->pid, waitpid((ch)->pid, &_status, __WALL)); \
		EXPECT_TRUE(WIFEXITED(_status)) TH_LOG("status %#x", _status); \
		EXPECT_EQ(0, WEXITSTATUS(_status));			\
		UF_CHILD_CLOSE(ch);					\
	} while (0)

/* It has been killed by that signal. */
#define UF_CHILD_KILLED(ch, sig)					\
	do {								\
		int _status;						\
									\
		ASSERT_EQ((ch)->pid, waitpid((ch)->pid, &_status, __WALL)); \
		EXPECT_TRUE(WIFSIGNALED(_status)) TH_LOG("status %#x", _status); \
		EXPECT_EQ(sig, WTERMSIG(_status));			\
		UF_CHILD_CLOSE(ch);					\
	} while (0)

/*
 * Every case that counts the module's references begins so: there is a module,
 * and nobody is left of the case before.
 */
#define UF_BEGIN(d)							\
	do {								\
		UF_OPEN(d, 1, 1);					\
		uf_close(d);						\
		UF_REFS_BACK();						\
	} while (0)

/* The module's references are as they were when the program began. */
bool uf_await_refs(void);
#define UF_REFS_BACK() \
	ASSERT_TRUE(uf_await_refs())

/* Unload the module, which nobody uses, and load it again; 0 or negative errno. */
long uf_module_reload(void);

/* The module's file, open; or negative errno. */
int uf_module_open(void);

/* Have all processors but the first online ("1") or not ("0"). */
void uf_other_cpus(const char *online);

bool uf_device_is_there(void *unused);

#endif /* UF_SCENE_H */
