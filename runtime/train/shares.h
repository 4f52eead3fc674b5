/* shares.h - a step whose batch is taken in shares: by one process one after the other, or by several, each its own.
 *
 * The gradients of the shares, each weighted by its part of the samples, are summed in the order of the shares, whoever
 * computed them: any number of processes that divides that of the shares ends with the same bits.  What steps draw is
 * drawn by share.  With --reduce=fast each process sums its own shares and the processes' sums are added up in whatever
 * order they can be had soonest: then bits differ from one number of processes to another, and may from run to run.
 *
 * Gradients go out in pieces (cnn_model.pieces), each as soon as a step has all of it, so that they travel while the
 * rest is computed: the part of a piece that is this process' to sum comes from all, is summed when it has come, and
 * the sum goes to all.  For that the first thread looks between the phases of a step.
 *
 * Running statistics are the weighted means of those that each share would have left.
 *
 * Where layers are normalised by the whole batch the shares meet within a step: it is done segment by segment, each for
 * one share after the other, and each share has a memory of its own. */
#ifndef SHARES_H
#define SHARES_H

#include "train/loader.h"
#include "train/tta.h"

/* What a step goes by that all processes must agree on: the greatest of what each says counts. */
struct share_word {
    int stop;                   /* the signal that ends the run; 0: none */
    int failed;                 /* a sample could not be read */
    int late;                   /* the time that the run may take is over */
};

/* A piece of gradients or statistics: numbers [begin, end) of a share's, of which each process sums `each`. */
struct share_piece {
    size_t begin, end, each;
    size_t got;                 /* where what has come of it lies */
};

struct shares {
    struct cnn_context *context;
    const struct cnn_ranks *ranks;      /* NULL: this process is alone */
    int count, first, end;      /* of a batch; this process has those from first up to, not including, end */
    bool fast;                  /* --reduce=fast */
    size_t statistics_at, all;  /* where statistics lie behind gradients; numbers of both */
    char *own;                  /* (end - first, all) gradients and statistics of this process' shares */
    char *got;                  /* for each piece (end - first, processes, each): this process' part of all shares' */
    void *grads;                /* the sums: the network's gradients */
    char *sums;                 /* of statistics */
    /* in the order in which they are summed; the last one holds statistics, if there are any */
    struct share_piece *pieces;
    int pieces_count;
    int at;                     /* the share that is computed */
    int *sent;                  /* (end - first) how many pieces of a share have gone out */
    int *under_way;             /* (end - first, pieces_count) which transfers they are */
    int summed, last;           /* pieces that are, and the transfer of the sum that was begun last; -1: none */
    bool broken;                /* something could not be sent */
    int64_t all_sent, early;    /* pieces sent in this epoch; those before the last phase of their step */
    struct cnn_context *parts;  /* of this process' shares, where they meet; NULL: the context serves them in turn */
    char *rows, *all_rows;      /* of a meeting: what this process' shares tell, what all do; alone: the same */
    char *told, *heard;         /* records of this process' shares, of all */
    size_t record, predictions_at, labels_at, targets_at, input_at;
    struct cnn_context whole;   /* the context with predictions and targets of the whole batch */
    struct share_word agreed;
    int64_t start;              /* position of the batch */
    int taken;                  /* its samples */
};

/* Nothing is shared out of a batch that is taken whole, by a process that is alone: count is 0 then.  trains: gradients
 * are wanted.  0, or -1 with a message. */
int rt_shares_open(struct shares *s, struct cnn_context *c, bool trains, bool fast);
void rt_shares_close(struct shares *s);

/* The next batch of a loader: of each of this process' shares loss, predictions, and where it trains gradients; then
 * what all processes found, in `whole`.  mine: what this process has to say.  Returns the samples of the batch, 0
 * behind the last one, -1 where any process failed. */
int rt_shares_train(struct shares *s, struct loader *l, struct share_word mine);
/* tta: NULL, or the copies that predictions are averaged over. */
int rt_shares_infer(struct shares *s, struct loader *l, struct tta *tta, struct share_word mine);

/* The whole batch's statistics into the context, where its gradients already are.  Behind rt_shares_train(). */
void rt_shares_sum(struct shares *s);

#endif
