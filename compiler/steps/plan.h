/* plan.h - every decision about how the graph is computed: fusion, layout, memory, kernels, schedule.
 * plan.c makes it; after it nothing is decided, emit_*.c only writes it down. */
#ifndef PLAN_H
#define PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/arena.h"
#include "base/diag.h"
#include "expr/expr.h"
#include "graph/graph.h"
#include "model/optimizers.h"
#include "steps/costs.h"

/* A machine to generate for: a row of targets.def. */
struct target {
    const char *name;           /* "x86-64-v4" */
    const char *macro;          /* "CNN_TARGET_X86_64_V4": selects the vector primitives in cnn_vec.h */
    int vector_bytes;           /* 64, 32, 16; 4: none */
    int registers;              /* vector registers */
    bool has_fma;
    int turns;                  /* of the loop in a register tile that are written out: more than 1 where counting them
                                 * takes the processor from the products */
    double flops_per_cycle;     /* fp32, one core */
    double l1_bytes, l2_bytes;  /* of one core */
    double memory_bytes_per_cycle;
    double blas_efficiency;     /* of OpenBLAS's sgemm on a machine of this kind, against flops_per_cycle */
    const char *blas_core;      /* OPENBLAS_CORETYPE that serves it, NULL: leave alone */
    const struct costs *costs;  /* what else kernels estimate with */
    bool portable;              /* C99 alone, a picture at a time, no threads and no runtime: for --emit=inference */
};

const struct target *target_find(const char *name);     /* "native" is resolved to the machine cnnc runs on */
bool target_runs_here(const struct target *target);     /* on the machine cnnc runs on */

enum { ERROR_GROWTH = 25 };
/* The same of kernels that multiply numbers of bfloat16, against plain sums of those. */
enum { BF16_GROWTH = 6 };

struct wisdom;

struct plan_options {
    const char *target;
    const char *name;           /* what public names begin with; NULL: the model's */
    bool real_double;
    bool bf16;                  /* kernels may multiply pairs of bfloat16 */
    bool exact;                 /* no kernel that rounds more than the plain sum does */
    double error_growth;        /* most that a kernel may let rounding errors grow against the plain sum;
                                   0: ERROR_GROWTH */
    const char *const *forced;  /* "conv2d_2=im2col", "conv2d_2:weight=direct" */
    int forced_count;
    const struct wisdom *wisdom;        /* measured times; NULL: none */
    int rank;                   /* for measuring: of candidates of unknown time, the one with so many before it */
};

/* ---- where tensors live --------------------------------------------------------------------------------------- */

enum region {
    REGION_NONE, REGION_INPUT, REGION_LABELS, REGION_TARGETS, REGION_PARAMS, REGION_GRADS, REGION_STATISTICS,
    REGION_PREDICTIONS,
    REGION_MEMORY,
    REGION_LOCAL                /* of the thread: lives in one loop over images only */
};

/* Maps lie as N x H x W x C, C innermost, without padding; flat tensors as N x C.  What is part of a concatenation lies
 * inside of it: its pixels are as far apart as that one's (plan_views.c).  Where channels are few, as many images as a
 * vector has lanes may lie together, N / L x H x W x C x L: no lane is idle then, however many channels there are
 * (plan_together.c). */
struct tensor_place {
    enum region region;
    int64_t offset;             /* elements; in REGION_MEMORY and REGION_LOCAL bytes, a multiple of 64 */
    int64_t bytes;              /* the whole batch */
    int64_t sample, pixel;      /* elements from one sample to the next, from one pixel to the next */
    int together;               /* > 0: so many images lie together, each element of theirs side by side */
    int first, last;            /* phases in which it is live (REGION_MEMORY) */
    bool of_turn;               /* REGION_LOCAL: holds the images of a whole turn, not those of one call */
    const struct tensor *base;  /* a view, inside of another, or what has taken over another's memory (group.in_place):
                                 * whose; NULL: its own */
    int64_t within;             /* elements of an image of the base before its own first one */
};

/* Parameters lie as their form says (param_layout()), so that a product reads them as they are: filters
 *     [ceil(O / panel)][KH][KW][I][panel]    (a matrix: KH = KW = 1, I in the memory order of its input)
 * padded with zeros to whole panels; vectors contiguous, padded to whole vectors; filters of positions
 *     [OH][OW][O / panel][KH][KW][I][panel]
 * without padding: the panel divides O (it is O where no multiple of the vector length does). */
struct param_place {
    int64_t offset, stored;     /* elements */
    bool early;                 /* a step of training updates it (step.updates) */
    int group;                  /* of update.groups, where it is trained */
    int panel;                  /* a multiple of the vector length; where it divides the axis perhaps all of it */
    struct cnn_layout layout;   /* from offset on */
};

/* ---- groups, steps, phases ------------------------------------------------------------------------------------- */

/* Operations computed together: a main one and elementwise ones applied to its result while it is in registers.
 * Their results in between are never stored. */
struct group {
    struct node *main;          /* for a chain of elementwise operations alone: the first */
    struct node **chain;        /* applied in order; chain[i] reads the result so far and its other inputs */
    int chain_count;
    int followers_count;        /* chain_count, or what it was before the kernel declined to apply them */
    struct node *companion;     /* conv2d_weight_grad, dense_weight_grad: the bias_grad of the same dy, or NULL */
    struct tensor *result;      /* what is stored in the end */
    const struct node *sums;    /* the gradients of gamma and beta of a normalisation that made what the layer reads: the kernel
                                 * takes their sums over an image of the result while that is in registers; NULL: of none */
    struct buffer *sums_rows;   /* where they go, a row for each image */
    /* of such a node: the group that takes them; NULL: it goes through the images itself */
    const struct group *carrier;
    bool training;              /* of the training step: parameters are others at every call */
    const struct program *program;
    int together;               /* > 0: it is computed for so many images that lie together (plan_together.c) */
    const struct kernel *kernel;
    double cost;                /* its estimate, in cycles of one core for a batch */
    const char *reason;         /* why this kernel */
    const char *candidates;     /* "direct 7.9 ms, im2col 10.1 ms" */
    const char *key;            /* the name of its task in wisdom; NULL: there is nothing to choose */
    bool untimed;               /* there is a choice, and wisdom does not know every candidate */
    const struct tensor *in_place;      /* whose memory the result takes over, element by element; NULL: nobody's */
    void *detail;               /* the kernel's own numbers, made by its plan() */
    int first_step, steps_count;        /* of program.steps: its own, one after the other */
    int images_most;            /* of a finer step's copy of its group: images of a call; 0: as the kernel chooses */
    bool narrow;                /* likewise: a block is half of what the kernel chooses */
};

enum split { SPLIT_IMAGES, SPLIT_BLOCKS };

/* What a step does with a value.  Adding is both. */
enum access { ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_ADD = ACCESS_READ | ACCESS_WRITE };

enum { PART_AXES = 4 };

/* One direction of a value that is cut into pieces, one for each block. */
struct axis {
    int64_t count, step;        /* indices; elements from one to the next */
    int64_t piece;              /* indices in a piece, the last one may have fewer; 0: it is not cut */
    int64_t larger;             /* > 0: so many pieces of `piece`, the others have one less */
    int64_t over;               /* block b has piece (b / over) % pieces */
};

/* What a block has of a value: the elements at the sums of index * step over all directions.  The directions end with
 * the first one of count 0. */
struct part {
    struct axis axis[PART_AXES];
};

/* What one call touches of a value. */
enum touch {
    TOUCH_ALL,
    TOUCH_IMAGES,               /* those of the call; of a buffer, a row for each */
    TOUCH_GROUP,                /* the row of the call's group of images */
    TOUCH_PART,                 /* the block's, argument.part */
    TOUCH_OWN,                  /* what no other block touches, and all blocks together all of it: the kernel's word */
    TOUCH_FIRST                 /* all of it, in block 0 alone */
};

/* Where a pointer stands: at the beginning of a value, or at its row for image i, group g, block b. */
enum stand { AT_BASE, AT_IMAGE, AT_GROUP, AT_BLOCK };

enum argument_kind {
    ARGUMENT_TENSOR,            /* also a parameter, its gradient, a statistic */
    ARGUMENT_BUFFER,
    ARGUMENT_SCRATCH,           /* the thread's own, `number` bytes of it */
    ARGUMENT_BLOCK,
    ARGUMENT_SAMPLES,           /* of the batch that are in use */
    ARGUMENT_TOGETHER,          /* likewise, of a batch that is taken in shares: in all of them */
    ARGUMENT_LEFT,              /* of images: of the call's and all that follow, in use; at least 1 */
    ARGUMENT_FIRST,             /* with repeat: the first image of this time, of `number` each time */
    ARGUMENT_BEGINS,            /* with repeat: whether it is the first time.  What is added to is begun then */
    ARGUMENT_KEY,               /* of the random numbers of stream `number` */
    ARGUMENT_ELEMENT,           /* where the image begins in a batch of `number` elements each; 0 for a batch */
    ARGUMENT_SHARE,             /* 1 over the batch's pixels, `number` an image */
    ARGUMENT_CONTEXT, ARGUMENT_RULE,    /* for an early update, see ARGUMENT_PARAMETER */
    ARGUMENT_PARAMETER          /* where the parameter `tensor` begins among all; it is updated where there is a rule */
};

/* What a step is given at a call.  The text of the call, the pointers that are declared for it, and what plan_verify()
 * knows of reads and writes all come from here. */
struct argument {
    enum argument_kind kind;
    const struct tensor *tensor;
    const struct buffer *buffer;
    enum access access;
    enum touch touch;
    const struct part *part;
    enum stand at;
    int64_t row;                /* elements from one row of a buffer, or of a cleared gradient, to the next */
    bool cleared;               /* with groups: `row` elements are set to 0 before the first image of a group */
    int64_t number;
};

/* Epochs, as `from` and `until` of params have them: from <= epoch < until. */
struct epoch_span {
    double from, until;
};

/* In which epochs some steps are done: apart from each other and in their order. */
struct epochs {
    int index;                  /* in plan.epochs */
    const struct epoch_span *spans;
    int count;
};

/* One emitted function, called for each image or each block [0, blocks). */
struct step {
    struct group *group;
    int index;                  /* in program.steps */
    int part;                   /* a kernel may need several steps: pack, multiply, reduce */
    enum split split;
    int64_t blocks;
    int images;                 /* SPLIT_IMAGES: images of one call, a divisor of the batch */
    int repeat;                 /* > 0: the steps of this group that say so are done in turn, so many times; `j` */
    int groups;                 /* > 0: an image belongs to one of so many groups of equal size, and the images of a
                                 * group are done in order by one thread: sums by group.  `g` */
    bool hoisted;               /* reads parameters only: computed before its group's other steps, not in its turn */
    int run;                    /* of blocks: threads take so many in turn, fewer where that is more even (cnn_run);
                                 * 0: each takes an equal part in one piece */
    bool beside;                /* of blocks, too small for a phase: joins an earlier one of blocks if it may */
    bool thin;                  /* of images, little work: it does not make the turns of a loop few and large */
    bool waits;                 /* what it multiplies stays in the caches: images may go on before it */
    const struct tensor *rows_of;       /* of blocks: b is the inputs [b * rows, (b + 1) * rows) of these weights */
    int rows;
    const struct buffer *meets; /* before it all shares of a batch tell each other the row that this buffer begins with: their
                                 * rows, one behind the other, follow it; NULL: it waits for no other share */
    const struct epochs *epochs;        /* it may be left out in all others, nothing being trained in them that it leads to; NULL:
                                 * it is done in all */
    const struct param *updates;        /* its update, once the gradient is there, where the context asks for that */
    const char *prefetch;       /* what it asks memory for ahead of its use, for the dump; NULL: nothing */
    const char *what;           /* "forward", "data gradient", "weight gradient", "pack weights" */
    int64_t flops;              /* one whole batch */
    const double *weights;      /* of blocks: what each takes against the others; NULL: as much as it makes */
    int stretch;                /* index into plan.stretches */
    int phase;
    struct argument *arguments; /* of its call, in their order */
    int arguments_count;
    size_t arguments_capacity;
};

/* Steps that are done one after the other in each turn of a loop. */
struct loop {
    int first, count;           /* of the phase's steps */
    int images;                 /* SPLIT_IMAGES: of each call */
    int64_t blocks;             /* SPLIT_BLOCKS, and `run` as in struct step */
    int run;
    int thread;                 /* of one block: the thread that does it, where there are so many */
};

/* Steps between two barriers.  A phase of images is one loop over turns of images, dealt out to the threads; in a turn
 * its loops are done one after the other.  One of blocks deals out each of its loops, and none waits for another. */
struct phase {
    enum split split;
    struct step **steps;
    int steps_count;
    size_t steps_capacity;
    struct loop *loops;
    int loops_count;
    int images;                 /* SPLIT_IMAGES: in one turn of the loop, the largest of its steps */
    int groups;                 /* > 0: of images, see struct step */
    int repeat;                 /* > 0: of a loop around this phase and its neighbours of the same group */
    bool repeat_begins, repeat_ends;
    bool meets;                 /* some step does: the first phase of a segment */
    bool in_turns;              /* of a finer form: its turns stand for larger ones, were they of one image */
    const struct phase *finer;  /* the same with other steps in the places of some, in smaller turns or more blocks: for
                                 * threads that this one leaves uneven (cnn_finer).  NULL: there is no other */
};

/* Memory of a kernel's own that all threads share: packed weights, partial sums. */
struct buffer {
    const char *name;           /* a C identifier, unique */
    int index;                  /* in program.buffers */
    const char *type;           /* "float", "double", "int32_t" ... */
    int64_t bytes, offset;
    int first, last;            /* phases in which it is live */
    bool lasting;               /* keeps what it holds from call to call: its bytes serve nothing else, in no program */
};

/* The training step, or the network in use. */
struct program {
    const struct graph *graph;
    bool training;
    bool *together;             /* by node id: computed for images that lie together; NULL: none is */
    bool together_decided;      /* it is; before that, sets are tried */
    struct group **groups;
    int groups_count;
    struct step **steps;
    int steps_count;
    size_t steps_capacity;
    struct phase *phases;
    int phases_count;
    int segments;               /* of the phases, between the meetings of shares; 1: there are none */
    int rule_phase;             /* after it is known whether weights are updated early; -1: none is */
    struct tensor_place *places;       /* by tensor id */
    struct buffer **buffers;
    int buffers_count;
    size_t buffers_capacity;
    int64_t memory_bytes, local_bytes;
};

/* ---- the optimizer's step ---------------------------------------------------------------------------------------- */

/* Parameters that are updated alike. */
struct update_group {
    double lr_scale, weight_decay;
    double l2;                  /* of layers: twice it times the parameter belongs to its gradient */
    double from, until;         /* trained while from <= epoch < until; 0, INFINITY: always */
};

/* A number of a step: for each group an expression of these inputs. */
enum { STEP_LR, STEP_T, STEP_TOTAL, STEP_GIVEN, STEP_INPUTS };

struct update_number {
    const char *name;
    const struct expr **values; /* by group */
    bool of_matrices;           /* for muon's functions, whether a pass reads it or not */
};

/* Rows of a matrix in a block. */
enum { UPDATE_ROWS = 64 };

/* A parameter that muon takes as a matrix; places in the update's memory, in reals, but for the sums, in doubles. */
struct update_matrix {
    const struct param *param;
    int64_t at;                 /* of the parameter among all */
    int inputs, outputs, panel, group;
    bool turned;                /* outputs are rows, being more than inputs */
    int64_t rows;
    int columns;                /* padded to whole vectors */
    int64_t x, y, a, b, sums;
};

/* What an expression of a pass reads: gradient, parameter, slots, then numbers of the step by their position. */
enum { UPDATE_G, UPDATE_P, UPDATE_SLOTS };

struct update_value {
    const char *name;           /* "new_m" */
    int vector;                 /* where it goes: UPDATE_P, or UPDATE_SLOTS and on */
    const struct expr *value;
};

/* Done for all of a block, one vector after the other, before the next pass. */
struct update_pass {
    enum pass_when { PASS_ALWAYS, PASS_FIRST, PASS_TRAINS, PASS_SYNC } when;
    struct update_value *values;
    int count;
};

/* Trained parameters that lie one after the other: elements of the flat vector. */
struct update_range {
    int64_t begin, end;
    bool early;                 /* where the context asks for it a step of training has updated it */
    int group;
    bool matrix;                /* one parameter, of update.matrices */
    int64_t blocks;             /* of update.block elements, dealt out to the threads; the last one may be smaller */
};

/* What follows the training step.  No two ranges touch, so threads need not wait for each other; but where the norm of
 * all gradients is wanted they do once, in between. */
struct update {
    const struct optimizer_def *optimizer;  /* NULL: nothing is trained */
    int64_t block;
    struct update_group *groups;
    int groups_count;
    const char **slots;         /* vectors of state, by their names */
    int slots_count, rule_slots;        /* those of the optimizer itself come first */
    int average_slot, slow_slot;        /* of ema and lookahead; -1: none */
    struct expr_pool *pool;     /* of everything below */
    struct update_number *numbers;
    int numbers_count;
    struct update_pass *passes;
    int passes_count;
    const char *text;           /* the rule, for people */
    int flops;                  /* an element */
    bool limited;               /* some group is not trained in all epochs */
    bool has_epochs;            /* that is why */
    bool decays;                /* some group does */
    bool penalised;             /* some group has l2 */
    double clip_norm;           /* 0: gradients stay as they are */
    int64_t clip_sums;          /* where in its memory the sums of blocks lie, in doubles */
    struct update_matrix *matrices;
    int matrices_count;
    int64_t matrix_sums;        /* likewise */
    int64_t matrix_flops;
    int every;                  /* steps between two of lookahead; 0: none */
    struct update_range *ranges;
    int ranges_count;
    int64_t blocks;             /* of all ranges */
    bool early;                 /* some range is */
    bool needs_valid_loss;      /* early only where the loss is a number */
    int64_t late_elements;      /* of the ranges that are not early */
    int64_t memory_bytes;       /* that it computes in */
};

/* Weights whose squares count in the loss, frozen ones too: elements of the flat vector, padding (zeros) included. */
struct penalty {
    const struct param *param;
    int64_t begin, end;
    double l2;
};

/* Where a batch is taken in shares: gradients [begin, end), to which no step writes after a phase. */
struct piece {
    int64_t begin, end;
    int phase;
};

struct stretch {
    struct layer *layer;
    enum op op;                 /* of the groups whose steps it holds */
    bool backward;
    const char *what;
    int64_t flops;
    int64_t updated;            /* parameters that its steps update */
};

struct plan {
    struct arena *arena;
    const struct model *model;
    const char *name;           /* what public names begin with */
    const struct target *target;
    const char *asked_target;   /* what it was called on the command line: "native" is one too */
    bool real_double;
    bool bf16;                  /* products of bfloat16, where a kernel for them is the cheapest; all else is float */
    const char *precision;      /* "float", "double", "bf16" */
    int lanes;                  /* reals in a vector */
    const char *real;           /* "float" */
    int real_size;
    int batch;
    struct program train, use;
    struct update update;
    struct penalty *penalties;  /* of training's loss and of use's */
    int penalties_count;
    struct param_place *params; /* by param id; both graphs number parameters alike */
    int64_t params_stored, statistics_stored;
    int64_t memory_bytes;
    int64_t scratch_bytes;      /* of a thread: kernel_scratch, then what is local to a loop over images */
    int64_t kernel_scratch;
    struct epochs **epochs;     /* of steps that are done in some only, each kind once */
    int epochs_count;
    size_t epochs_capacity;
    struct piece *pieces;       /* of a share's gradients; none where a batch is taken whole */
    int pieces_count;
    size_t pieces_capacity;
    struct stretch *stretches;
    int stretches_count;
    size_t stretches_capacity;
    struct table stretches_by_name;
    bool uses_blas;
    double image_flops;         /* of a training step, for an image; 0: there is none */
    double error_growth;        /* 1: exact */
    double bf16_growth;         /* likewise of kernels that multiply bfloat16, against plain ones that do */
    int choices, informed;      /* groups with rival kernels; those of which wisdom knows any time */
    int untimed;                /* candidates of the group that has most among those whose times are not all known */
    uint64_t hash;
};

/* Before plan_again(): what batch normalisations of the same channels share is done once (plan_norms.c). */
void plan_norms(struct graph *train);
/* Before plan_model(), of the same options: what is made again in the backward pass instead of being kept becomes part
 * of the graph (plan_again.c). */
void plan_again(struct arena *a, struct graph *train, const struct plan_options *options);
/* train NULL: there is none (for the target `portable`).  Reports only wrong --kernel options and operations that the
 * target has no kernel for (diag); NULL then. */
struct plan *plan_model(struct arena *a, const struct graph *train, const struct graph *use,
                        const struct plan_options *options, struct diag *d);
/* What is asked for: "float", "double", "bf16". */
const char *plan_precision(const struct plan_options *o);
const char *plan_verify(const struct plan *p);
/* Whether the optimizer changes it. */
bool plan_trains(const struct param *param);
/* The weights with l2 are summed in blocks of so many elements: how many blocks that makes. */
enum { PENALTY_BLOCK = 8192 };
int64_t plan_penalty_blocks(const struct plan *p);
/* Of a phase that has a finer form: so many things, in turns of so many; in those of the finer form. */
struct turns {
    int count, turn, finer;
};
struct turns plan_turns(const struct plan *p, const struct phase *f);
/* Whether a step that makes its gradient may update it: no other gradient is needed for that. */
bool plan_updates_early(const struct plan *p, const struct param *param);
/* When a parameter's gradient is wanted: while it is trained, or always where the step that makes it does more. */
struct epoch_span plan_trained_epochs(const struct plan *p, const struct param *param);
/* Whether a step that is done in these (NULL: all) is done throughout the span. */
bool plan_epochs_hold(const struct epochs *e, struct epoch_span s);
void plan_dump(const struct plan *p, FILE *out);
/* How evenly so many threads share its work, by the kernels' estimates and the functions that emitted code divides
 * with. */
void plan_dump_shares(const struct plan *p, int threads, FILE *out);
/* Without the reasons: two plans that compute the same look the same. */
void plan_dump_decisions(const struct plan *p, FILE *out);

#endif
