/* team.h - threads that do one piece of work together, again and again. */
#ifndef TEAM_H
#define TEAM_H

#include "cnnrt.h"

struct cnn_team;

/* Starts count - 1 threads beside the calling one, which wait for work.  Fewer where the system has no more to give:
 * rt_team_count says how many there are, the caller among them.  NULL where there is no memory. */
struct cnn_team *rt_team_open(int count);
void rt_team_close(struct cnn_team *t);
int rt_team_count(const struct cnn_team *t);

/* Calls work(arg, worker) once on every thread of the team, the calling one as number 0, and returns when all have
 * returned.  Not from within such work.  Numbers below the normal range are zero meanwhile. */
void rt_team_run(struct cnn_team *t, void (*work)(void *arg, struct cnn_worker *w), void *arg);

/* Calls one(arg, i) for each i from 0 to count - 1, whoever is free the next few; team NULL: the calling thread all. */
void rt_team_each(struct cnn_team *t, int64_t count, void (*one)(void *arg, int64_t i), void *arg);

/* Work that can wait: what threads of a team do where they would wait for each other, a small piece at a time. */
struct team_spare {
    /* Does the next piece, on the thread of that number; false: there is none now. */
    bool (*one)(void *arg, int number);
    void *arg;
};

/* What there is to do from here on, NULL: nothing; it stays the caller's.  Returns when no thread is in a piece of
 * what there was before.  By the thread that asks for work, between two pieces of work. */
void rt_team_spare(struct cnn_team *t, const struct team_spare *spare);

/* Returns when no thread is in a piece of spare work that it began before.  Likewise. */
void rt_team_settle(struct cnn_team *t);

/* As rt_team_each, with threads that live no longer than the call. */
void rt_each(int threads, int64_t count, void (*one)(void *arg, int64_t i), void *arg);

#endif
