/* state.h - all that a run needs to go on where it stood: named values and parameters in one
 * safetensors file with a checksum.
 *
 * Each part of a run (the trainer, a tally, a callback) puts its values under names of its own and
 * takes them back.  Numbers are written in hexadecimal, so that every bit comes back; parameters in
 * the order of files, so that a network that was compiled otherwise can go on too.
 */
#ifndef STATE_H
#define STATE_H

#include "formats/safetensors.h"

struct state {
    const struct cnn_model *model;
    char section[32];                   /* goes before every name */
    /* being gathered */
    struct text_pair *texts;
    int texts_count, texts_room;
    struct tensor_entry *entries;
    int entries_count, entries_room;
    bool failed;                        /* no memory for some value */
    /* as read */
    struct tensor_file file;
    const char *path;                   /* of that file */
};

void rt_state_begin(struct state *s, const struct cnn_model *model);
void rt_state_free(struct state *s);

/* Names that follow are "SECTION.NAME"; "" ends the section. */
void rt_state_section(struct state *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Values are copied; of parameters only the pointer is kept until the state is written. */
void rt_state_put_number(struct state *s, const char *name, double value);
void rt_state_put_whole(struct state *s, const char *name, int64_t value);
void rt_state_put_text(struct state *s, const char *name, const char *text);
/* A vector that lies in memory as cnn_context.params. */
void rt_state_put_params(struct state *s, const char *name, const void *params);
/* A vector that lies in memory as cnn_context.statistics. */
void rt_state_put_statistics(struct state *s, const char *name, const void *statistics);

/* Writes it whole or not at all; the one before is kept.  0, or -1 with a message. */
int rt_state_write(struct state *s, const char *path, const char *previous);

/* Reads the newest state that is whole: `path`, else `previous`, which then gets the name `path`.
 * What is wrong with the first is said.  1: neither is there.  0, or -1 with a message. */
int rt_state_read(struct state *s, const struct cnn_model *model, const char *path,
                  const char *previous);

/* The state that another process has read, whole, from a file of that name; the bytes are the state's from here on.  0,
 * or -1 with a message. */
int rt_state_take(struct state *s, const struct cnn_model *model, unsigned char *bytes, uint64_t size,
                  const char *path);

/* Each: 0, or -1 with a message when the state has no such value. */
int rt_state_get_number(const struct state *s, const char *name, double *value);
int rt_state_get_whole(const struct state *s, const char *name, int64_t *value);
int rt_state_get_params(const struct state *s, const char *name, void *params);
int rt_state_get_statistics(const struct state *s, const char *name, void *statistics);
/* NULL where there is none. */
const char *rt_state_text(const struct state *s, const char *name);

#endif
