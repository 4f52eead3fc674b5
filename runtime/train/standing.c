/* standing.c - what processes tell each other before they work together. */
#define _GNU_SOURCE
#include "train/standing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/message.h"
#include "core/rank_writes.h"
#include "files/notes.h"

enum { ABOUT_ROOM = 32, HOST_ROOM = 64, FAULT_ROOM = 1024 };

/* Of one process. */
struct word {
    int32_t ready;
    uint64_t offer, facts[FACTS_MOST];  /* offer: bytes that it is about to give */
    char about[ABOUT_ROOM], host[HOST_ROOM], fault[FAULT_ROOM];
};

/* What is not right with a process, told by the first one, which has told of itself.  Whether anything is. */
static bool word_tell(const struct word *all, int rank, const struct standing_facts *facts)
{
    const struct word *one = &all[rank], *first = &all[0];
    if (!one->ready) {
        /* what is wrong in many is told once */
        bool told = rank == 0;
        for (int i = 0; i < rank && !told; i++)
            told = !all[i].ready && strcmp(one->fault, all[i].fault) == 0;
        if (!told)
            rt_error("rank %d on %s: %s", rank, one->host, *one->fault ? one->fault : "cannot begin");
        return true;
    }
    if (first->ready && strcmp(one->about, first->about)) {
        rt_error("rank %d on %s is about to %s, rank 0 on %s to %s", rank, one->host, one->about, first->host,
                 first->about);
        return true;
    }
    for (int i = 0; first->ready && facts && i < facts->count; i++)
        if (one->facts[i] != first->facts[i]) {
            rt_error("rank %d on %s has %s, compared with rank 0 on %s", rank, one->host, facts->names[i], first->host);
            return true;
        }
    return false;
}

static bool differs(const struct word *one, const struct word *first)
{
    return !one->ready || strcmp(one->about, first->about) || memcmp(one->facts, first->facts, sizeof one->facts);
}

/* This process's word to all, and theirs.  *offer becomes the first one's.  0, or -1. */
static int words_gather(struct standing *s, struct word *mine, const struct standing_facts *facts, uint64_t *offer)
{
    const struct cnn_ranks *r = s->ranks;
    struct word *all = calloc((size_t)r->count, sizeof *all);
    gethostname(mine->host, sizeof mine->host - 1);
    if (facts)
        memcpy(mine->facts, facts->values, sizeof mine->facts);
    bool wrong = !all || r->gather(r, mine, sizeof *mine, all);
    for (int i = 0; !wrong && i < r->count; i++)
        s->refused |= rt_rank_writes(r) ? word_tell(all, i, facts) : differs(&all[i], &all[0]);
    if (!wrong && offer)
        *offer = all[0].offer;
    if (!all)
        rt_error("no memory for %d ranks", r->count);
    free(all);
    s->asked = s->refused;
    return wrong || s->refused ? -1 : 0;
}

/* What each says from here on is heard. */
static void asked_end(struct standing *s)
{
    s->asked = true;
    rt_message_catch(NULL, 0, !rt_rank_writes(s->ranks));
}

static int ready_tell(struct standing *s, const char *about, const struct standing_facts *facts, uint64_t *offer,
                      bool last)
{
    struct word mine = { .ready = true, .offer = offer ? *offer : 0 };
    if (!s->ranks || s->asked)
        return s->refused ? -1 : 0;
    snprintf(mine.about, sizeof mine.about, "%s", about);
    int status = words_gather(s, &mine, facts, offer);
    if (last || s->asked)
        asked_end(s);
    return status;
}

int rt_standing_ready(struct standing *s, const char *about, const struct standing_facts *facts)
{
    return ready_tell(s, about, facts, NULL, false);
}

int rt_standing_last(struct standing *s, const char *about, const struct standing_facts *facts)
{
    return ready_tell(s, about, facts, NULL, true);
}

void rt_standing_fail(struct standing *s)
{
    struct word mine = { .ready = false };
    if (!s->ranks || s->asked)
        return;
    snprintf(mine.fault, sizeof mine.fault, "%s", s->fault ? s->fault : "");
    words_gather(s, &mine, NULL, NULL);
    s->refused = true;
    asked_end(s);
}

int rt_standing_give(struct standing *s, const char *what, unsigned char **bytes, uint64_t *count)
{
    const struct cnn_ranks *r = s->ranks;
    uint64_t offer = *count;
    if (!r || s->asked)
        return s->refused ? -1 : 0;
    if (ready_tell(s, what, NULL, &offer, false))
        return -1;
    if (offer == 0)
        return 0;
    unsigned char *room = rt_rank_writes(r) ? *bytes : calloc(1, (size_t)offer + 1);
    if (!room)
        rt_error("no memory for %llu bytes of rank 0", (unsigned long long)offer);
    if (!room || rt_standing_ready(s, what, NULL) || r->broadcast(r, room, (size_t)offer)) {
        if (!rt_rank_writes(r))
            free(room);
        return -1;
    }
    *bytes = room;
    *count = offer;
    return 0;
}

/* The notes as a file that has no tensors. */
static int notes_give(struct standing *s, struct cnn_context *c)
{
    static const char name[] = "what rank 0 knows of its weights";
    struct text_pair pairs[NOTES_PAIRS];
    struct tensor_file f = { 0 };
    unsigned char *bytes = NULL;
    uint64_t size = 0;
    const bool gives = rt_rank_writes(s->ranks);
    int count = gives ? rt_notes_write(c, pairs) : 0;
    if (count >= 0 && gives)
        bytes = rt_safetensors_texts(pairs, count, &size);
    for (int i = 0; i < count; i++)
        free((char *)pairs[i].value);
    if (gives && !bytes) {
        rt_error("no memory for what is told of the weights");
        return -1;
    }
    int status = rt_standing_give(s, "share what is known of weights", &bytes, &size);
    if (gives)
        free(bytes);
    else if (status == 0 && bytes) {
        status = rt_safetensors_take(&f, bytes, size, name) || rt_notes_read(c, &f, name, false) ? -1 : 0;
        rt_safetensors_free(&f);
    }
    return status;
}

int rt_standing_give_weights(struct standing *s, struct cnn_context *c)
{
    const struct cnn_model *m = c->model;
    const struct cnn_ranks *r = s->ranks;
    const size_t real = (size_t)m->real_size;
    if (!r || s->asked)
        return s->refused ? -1 : 0;
    if (notes_give(s, c) || rt_standing_ready(s, "share weights", NULL))
        return -1;
    return r->broadcast(r, c->params, (size_t)m->params_stored * real)
                   || r->broadcast(r, c->statistics, (size_t)m->statistics_stored * real) ? -1 : 0;
}
