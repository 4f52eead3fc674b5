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

/* The same with threads that live no longer than the call. */
void rt_each(int threads, int64_t count, void (*one)(void *arg, int64_t i), void *arg);

#endif
