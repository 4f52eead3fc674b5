/* kernel.h - one way to compute an operation: a row of kernels.def and a file in kernels/. */
#ifndef KERNEL_H
#define KERNEL_H

#include "base/cwriter.h"
#include "steps/plan.h"
#include "base/table.h"
#include "base/text.h"

struct emitter;

struct kernel {
    const char *name;           /* "direct", "im2col": what --kernel takes */
    enum op op;                 /* the main operation it computes */
    bool portable;              /* plain C99: serves the target `portable`, and no other */
    bool bf16;                  /* its factors are rounded to bfloat16: serves that precision, and no other */
    bool fuses_chain;           /* applies group.chain itself */
    bool (*applicable)(const struct plan *p, const struct group *g);
    /* Estimated cycles of one core for a whole batch. */
    double (*cost)(const struct plan *p, const struct group *g);
    /* How much larger its rounding errors are than those of the plain sum; NULL: no larger. */
    double (*error)(const struct plan *p, const struct group *g);
    /* Whether its result may lie where t does, which it reads: each element before it writes that of the result.  NULL:
     * of nothing. */
    bool (*overwrites)(const struct plan *p, const struct group *g, const struct tensor *t);
    /* Adds its steps with plan_step(), its buffers with plan_buffer(), asks for scratch with plan_scratch(). */
    void (*plan)(struct plan *p, struct program *q, struct group *g);
    /* Optional: decides what depends on where tensors lie, when that is known. */
    void (*settle)(struct plan *p, struct program *q, struct group *g);
    /* Optional: makes a copy of one of its steps, which has a copy of the group of its own, finer: calls of so many
     * images (as step.images becomes), or for 0 two blocks in the place of each.  It computes the same bits and is
     * given the same.  False: it cannot. */
    bool (*finer)(struct plan *p, struct program *q, struct step *s, int images);
    /* Whether it takes tensor t, which the group reads or makes, with pixels further apart than its channels, as
     * tensor_place.pixel will say: then t may lie inside of a concatenation.  NULL: never. */
    bool (*strided)(const struct plan *p, const struct group *g, const struct tensor *t);
    /* Whether it takes the sums of group.sums of its result, in steps of images.  NULL: never. */
    bool (*carries)(const struct plan *p, const struct group *g);
    /* Of gradients of weights: whether they are summed one image (or a few) after the other, in the loop of their
     * neighbours.  NULL: never. */
    bool (*by_image)(const struct plan *p, const struct group *g);
    /* Writes the function of a step (emit_function ... emit_end), which takes its arguments; returns its name. */
    const char *(*emit)(struct emitter *e, const struct step *s);
    /* Whether it computes a node for images that lie together (tensor_place.together): for all that take part in the
     * node, and in what follows it in a chain, but for what `apart` names.  NULL: never. */
    bool (*together)(const struct plan *p, const struct node *n);
    bool only_together;         /* and for no others */
    /* Of the gradients of a convolution: whether it reads, or makes, parts of the weights block by block.  Where both
     * do, that of the data comes first, and the other one may update the weights.  NULL: never. */
    bool (*by_weights)(const struct plan *p, const struct group *g);
    /* Whether it takes tensor t of the node with its images apart there too.  NULL: of none. */
    bool (*apart)(const struct node *n, const struct tensor *t);
    int number;                 /* the kernel's own, where several differ in it alone */
    const char *help;
};

const struct kernel *const *kernels(int *count);        /* in the order of kernels.def */

/* ---- for kernel.plan --------------------------------------------------------------------------------------------- */

struct step *plan_step(struct plan *p, struct program *q, struct group *g, int part, enum split split, int64_t blocks,
                       const char *what, int64_t flops);
/* What a step is called that takes one map to the other: "forward" or, in a backward group, "data gradient". */
const char *plan_way(const struct group *g);
/* Live while steps that use it are done. */
struct buffer *plan_buffer(struct plan *p, struct program *q, const char *name, const char *type, int64_t bytes);
void plan_scratch(struct plan *p, int64_t bytes);
/* Whether a step of so many cycles is better cut within the image: where a batch is one image, images give no work to
 * other threads.  Such a step has SPLIT_BLOCKS. */
bool plan_splits_image(const struct plan *p, double cycles);
/* What it costs a split step that its group's other steps are behind a barrier: so many more barriers. */
double plan_barrier_cycles(const struct plan *p, int barriers);
/* What it costs all threads to meet so many times: a step of blocks that stands between steps of images. */
double plan_meeting_cycles(const struct plan *p, int meetings);
/* Into how many groups of equal size the images of a batch are cut where each has sums of its own: at most 16, enough
 * for as many threads, of a multiple of 4 images, or of 2 where an image is much work, so that as many may share a
 * call; where there are few images, at most 8.  All that share a loop have the same. */
int plan_image_groups(const struct plan *p);
const struct tensor_place *plan_place(const struct program *q, const struct tensor *t);
/* Whether it is a map of more than so many bytes that is longer in use than a turn over some images. */
bool plan_outlasts(const struct program *q, const struct tensor *t, double bytes);
/* Whether some steps take images that lie together, and so many at each call. */
bool plan_has_together(const struct program *q);
/* The tensor whose memory it really is. */
const struct tensor *plan_root(const struct program *q, const struct tensor *t);
/* Whether a part of a concatenation, or a slice, is a view of the whole's channels from that one on. */
bool plan_lies_inside(const struct program *q, const struct tensor *part, const struct tensor *whole, int channel);
/* The gradient so far that n adds to its last result, NULL: none; and whether that sum is where it lies. */
const struct tensor *plan_adds_to(const struct node *n);
bool plan_lies_over(const struct program *q, const struct tensor *sum);
/* The C type of a tensor's elements. */
const char *plan_element_type(const struct plan *p, const struct tensor *t);
/* Width of a panel for so many channels, in reals: whole vectors, as many as a register tile takes. */
int plan_panel(const struct plan *p, int channels);
/* Columns of a register tile for so many channels that lie one after the other, in reals: 1 to 3 vectors. */
int plan_columns(const struct plan *p, int channels);
const struct param_place *plan_param(const struct plan *p, const struct tensor *param);     /* PARAM or its gradient */

/* The nodes that read a group's operands: main, chain and companion, in that order. */
int group_nodes(const struct group *g, const struct node **nodes, int most);
int64_t plan_round(int64_t value, int64_t multiple);
/* Of all that lies in memory: a cache line; where a machine has none what vectors like. */
int plan_alignment(const struct plan *p);
int64_t plan_aligned(const struct plan *p, int64_t bytes);

/* ---- for kernel.plan: arguments ------------------------------------------------------------------------------------
 * What a step is given at each call, in the order of its function's parameters.  What it reads or writes must be among
 * it: plan_verify() believes it. */

/* A tensor, parameter, gradient or statistic.  A step of images takes what is given a sample image by image; else all
 * of it is touched at each call. */
void step_takes(struct plan *p, struct step *s, enum access access, const struct tensor *t);
/* In a step of blocks, of which each has its part; or it has one that is not written down (TOUCH_OWN, TOUCH_FIRST). */
void step_takes_part(struct plan *p, struct step *s, enum access access, const struct tensor *t, struct part part);
void step_takes_in(struct plan *p, struct step *s, enum access access, const struct tensor *t, enum touch touch);
/* A gradient of so many elements, in one group of images: it is 0 before the first image. */
void step_takes_cleared(struct plan *p, struct step *s, const struct tensor *t, int64_t elements);
void step_uses(struct plan *p, struct step *s, enum access access, const struct buffer *b, enum touch touch);
void step_uses_part(struct plan *p, struct step *s, enum access access, const struct buffer *b, struct part part);
/* The pointer stands at the row for the call's image or block, of `row` elements each. */
void step_uses_row(struct plan *p, struct step *s, enum access access, const struct buffer *b, enum stand at,
                   int64_t row);
/* The row of the call's group of images, which is 0 before the first one. */
void step_uses_cleared(struct plan *p, struct step *s, const struct buffer *b, int64_t row);
/* A map that is made row by row where the step has blocks; and what is made of which other, after the block. */
void step_writes_rows(struct plan *p, struct step *s, const struct tensor *t);
void step_takes_rows(struct plan *p, struct step *s, const struct tensor *from, const struct tensor *to);
/* What the chain of its group reads. */
void step_takes_chain(struct plan *p, struct step *s);
/* The weights whose gradient g makes, where its last step may update them: they are so large that the
 * gradient leaves the second-level cache before update() comes, and nobody reads them after g.  NULL: it may not. */
const struct param *plan_updated_by(const struct plan *p, const struct program *q, const struct group *g);
/* So many bytes that only this thread uses, for the time of the call. */
void step_scratch(struct plan *p, struct step *s, int64_t bytes);
void step_is_told(struct plan *p, struct step *s, enum argument_kind what);
void step_is_given(struct plan *p, struct step *s, enum argument_kind what, int64_t number);
/* It may update a parameter, whose gradient's part it makes: context, rule, number of the parameter. */
void step_updates(struct plan *p, struct step *s, const struct param *param, struct part part);
/* `count` rows, one for each block; so many elements in pieces, one for each block. */
struct part part_rows(int64_t count, int64_t row);
struct part part_runs(int64_t elements, int64_t piece);
/* `count` numbers of each sample, `piece` of them in a block, for the whole batch. */
struct part part_columns(const struct plan *p, int64_t count, int64_t piece);
int64_t axis_pieces(const struct axis *x);
/* For kernel.finer: the arguments of a step, to be changed in a copy of it. */
struct argument *step_arguments_copy(struct plan *p, const struct step *s);
/* Likewise: what a block has of the first value that blocks have parts of; and two blocks in the place of each, which
 * have `part` of all such values.  The group of the step is told that it is narrow. */
struct part step_part(const struct step *s);
void step_halve_blocks(struct plan *p, struct step *s, struct part part);
/* Whether an argument is of that kind; ARGUMENT_BLOCK: or stands at the block. */
bool step_uses_kind(const struct step *s, enum argument_kind kind);

/* ---- for kernel.emit --------------------------------------------------------------------------------------------- */

/* A function that is being written; they nest (a kernel emits the tiles that it calls). */
struct emit_frame {
    struct emit_frame *outer;
    struct cwriter *w;
    const char *storage, *parameters;   /* of a function: "CNN_APART" */
};

struct emitted_function {
    const char *name, *storage, *parameters;    /* parameters NULL: all of it is in the text */
    const char *text;           /* the body */
    struct text comments;       /* of all who use it, a paragraph each */
    int users;                  /* how often it was wanted; as the function of a step: */
    int steps;
    const struct layer *layer;  /* whose; NULL: of the loss */
    const char *what;           /* the step's */
    bool many, trains;          /* of several layers; in training too */
};

/* Begins as emitter_of(). */
struct emitter {
    const struct plan *plan;
    const struct program *program;
    struct arena *arena;
    struct emitted_function **functions;
    int functions_count;
    size_t functions_capacity;
    struct table patterns;      /* the functions, by their text without the name */
    struct table by_name;       /* the functions */
    struct table names;         /* of functions: the next number for another of that name */
    struct table comments;      /* that the functions have */
    struct table tiles;         /* names of the functions of tiles and activations, by what makes their text */
    struct cwriter *w;          /* of the function being written, between emit_function and emit_end */
    struct emit_frame *frame;
    const char *const *stretches;       /* names of what is timed, the update last */
    struct emitted_function **called;     /* the functions of the program's steps, by number of the step */
    struct emitted_function **called_finer;     /* of those that finer phases have in their places; NULL: the same */
    const char **muon;          /* the functions of matrices that the update orthogonalises, emit_muon.c */
    int operations;             /* on vectors, in the linear combinations that were written: a caller sets it to 0 */
};

struct emitter emitter_of(const struct plan *p, struct arena *a);
/* Text that is no function: what is written to e->w in between. */
void emit_text_begin(struct emitter *e);
const char *emit_text_end(struct emitter *e);
/* Starts a function of such parameters, "const float *x, ..."; e->w takes its body. */
void emit_function(struct emitter *e, const char *parameters, ...) __attribute__((format(printf, 2, 3)));
/* The same for one that is part of whatever calls it. */
void emit_inline(struct emitter *e, const char *parameters, ...) __attribute__((format(printf, 2, 3)));
/* Ends it.  The same text written before is reused; else it gets the name hint (made unique).  The comment (may
 * be NULL) stands above it: source line, shapes, operation count, kernel and why.  Returns the name. */
const char *emit_end(struct emitter *e, const char *hint, const char *comment);
/* The same for a function that says nothing of who calls it: where there is one already, its comment does. */
const char *emit_end_shared(struct emitter *e, const char *hint, const char *comment);
/* A function that stands there as it is, of a name that no other has. */
void emit_written(struct emitter *e, const char *name, const char *text, const char *comment);
/* Adds a paragraph to the comment of a function of that name. */
void emit_remark(struct emitter *e, const char *name, const char *remark);
/* Says that a function is that of a step of e->program. */
void emit_step_of(struct emitter *e, struct emitted_function *f, const struct step *s);
/* When all functions of steps are there: those that one layer alone calls get names that begin with the layer's.  No
 * other function calls them. */
void emit_name_own(struct emitter *e);
/* All functions gathered so far, from number `first` on. */
void emit_functions(struct emitter *e, struct cwriter *w, FILE *out, int first);

/* The comment of a step: layer and source line, shapes, operations, kernel, reason. */
const char *emit_comment(struct emitter *e, const struct step *s);

/* ---- elementwise chains --------------------------------------------------------------------------------------------
 * A chain's operations are applied to vectors in registers.  Each needs operands beside the value itself: */

enum operand_kind {
    OPERAND_COLUMN,         /* one value a channel: bias, scale (parameters, moments) */
    OPERAND_COLUMN_OF_MORE, /* one value a channel, of a vector of more channels that begins `number` before them */
    OPERAND_COLUMN_SAMPLE,  /* one value a channel and sample: the spread operand of an add */
    OPERAND_ELEMENT,        /* same shape as the value */
    OPERAND_INDEX_CHANNEL,  /* the channel's index in the whole batch: dropout of channels */
    OPERAND_INDEX,          /* the element's index in the whole batch (int64): dropout */
    OPERAND_SCALAR,         /* a number known at run time: 1 / (n h w), a random key */
    OPERAND_SUMS            /* two sums a channel that are added to: group.sums */
};

struct operand {
    enum operand_kind kind;
    const char *role, *name;        /* "bias", "y", "key"; in the function, where no two have the same: "bias_2" */
    const char *type;               /* "const float *", "uint32_t" ... */
    const struct tensor *tensor;    /* COLUMN, COLUMN_SAMPLE, ELEMENT */
    enum argument_kind argument;    /* SCALAR, INDEX, INDEX_CHANNEL: what the call gives, and its number */
    int64_t number;
    int node;                       /* index in the chain */
};

enum { CHAIN_OPERANDS = 64 };      /* a node has at most 7 */

struct chain {
    const struct group *group;
    struct operand operands[CHAIN_OPERANDS];
    int operands_count;
    bool together;              /* a vector is of one channel, of images that lie together */
};

/* Whether it is read at the channel's offset, not at the element's. */
bool operand_is_column(const struct operand *o);
/* True when the node can stand in a chain with the value being its input number *value_input. */
bool chain_accepts(const struct node *n, int *value_input);
/* The input of n that may be t with n in a chain applied to t (an add takes either); -1: none. */
int chain_input(const struct node *n, const struct tensor *t);
/* The operands of group->chain (for a group whose main is elementwise: of main and chain). */
void chain_make(const struct plan *p, const struct group *g, struct chain *c);
/* Whether it reads numbers of channels and none of elements, which lie at the result's own offsets. */
bool chain_is_by_channel(const struct plan *p, const struct group *g);
/* Whether it reads numbers that each channel of a sample has: a function that is called for several samples cannot find
 * them. */
bool chain_is_by_sample(const struct plan *p, const struct group *g);
/* ", const float *bias, const float *y": parameters of the function. */
const char *chain_parameters(struct emitter *e, const struct chain *c);
/* ", bias + (col), y + (at)": arguments for a tile whose first column is `col` and first element `at` (C text;
 * "0" for none). */
const char *chain_pass(struct emitter *e, const struct chain *c, const char *col, const char *at);
/* The chain applied to `value`, as one C expression.  col and at: offsets of this vector's first element from
 * where the operands point; tail: lanes in use, 0 for all. */
const char *chain_apply(struct emitter *e, const struct chain *c, const char *value, int64_t col, int64_t at, int tail);
/* The same with offsets in C text, "0" for none. */
const char *chain_apply_at(struct emitter *e, const struct chain *c, const char *value, const char *col, const char *at,
                           int tail);
/* In plain C, for the target `portable`: the operations from .. to - 1 of the chain (main's own too where it is one)
 * applied to one number.  value NULL: they are sums, and what they add by itself.  channel, element: C indices. */
const char *chain_apply_plain(struct emitter *e, const struct chain *c, int from, int to, const char *value,
                              const char *channel, const char *element);
int chain_operations(const struct chain *c);
/* The activation of a value, and its gradient, which is given what activation_reads() says. */
const char *text_activation(struct emitter *e, const struct attributes *attr, const char *value);
const char *text_activation_grad(struct emitter *e, const struct attributes *attr, const char *dy, const char *reads);
/* How many at the beginning are sums with what is there before the value is. */
int chain_leading_sums(const struct chain *c);
/* Whether some operand has one number a channel. */
bool chain_has_columns(const struct chain *c);
/* Sums of what the chain makes, for a normalisation's gradients (group.sums): those of each vector of channels in
 * registers, begun by the first, added to by the second, which declares the value under a name and returns it, and
 * added by the third to the run that the image's row begins with.  col and at as above; k: a number of the vector.
 * Where there are no sums they write nothing, and the value is what it was. */
void chain_sums_begin(struct emitter *e, const struct chain *c, int k);
const char *chain_sums_add(struct emitter *e, const struct chain *c, const char *value, const char *name, int k,
                           const char *col, const char *at, int tail);
void chain_sums_end(struct emitter *e, const struct chain *c, int k, const char *col);
bool chain_has_sums(const struct chain *c);
/* c, where it does anything to a value; else NULL. */
const struct chain *chain_in_use(const struct chain *c);
/* In the function of a step: rows of `images` images become 0; a run of `channels` channels from `col` on is added to
 * the rest of the row and begins again, after some pixels each time, so that rounding does not grow with all of them;
 * at the end all are. */
void chain_sums_clear(struct emitter *e, const struct chain *c, int images);
void chain_sums_take(struct emitter *e, const struct chain *c, const char *col, int channels);
void chain_sums_take_all(struct emitter *e, const struct chain *c, int images);
/* c with the sums of image `image` of a call, for which a pointer is declared. */
struct chain chain_sums_of_image(struct emitter *e, const struct chain *c, const char *image);
/* Reals in the row of an image, for so many channels. */
int64_t chain_sums_row(const struct plan *p, int channels);
/* "_bias_relu": what a function with this chain adds to its name. */
const char *chain_suffix(struct emitter *e, const struct chain *c);
/* Work of the chain on one vector, in vector instructions, for costs. */
double chain_cycles(const struct plan *p, const struct group *g);
/* The same for a whole batch. */
double group_chain_cycles(const struct plan *p, const struct group *g);

/* ---- the register tile ----------------------------------------------------------------------------------------------
 * C[r][j] = sum over segments s and k of A[s, r, k] * B[s, k, j]:  rows x vectors accumulators. */

struct tile {
    int rows, vectors;
    int tail;                   /* lanes of the last vector in use, 0: all.  C and chain operands end there */
    int64_t a_row, a_k;         /* A: elements from row to row, from k to k */
    int64_t b_k;                /* B: elements from k to k */
    bool a_vectors;             /* A is of vectors, which are multiplied lane by lane: nothing is broadcast */
    int64_t b_vector, c_vector; /* from one vector of B, of C to the next; 0: they lie side by side.  With c_vector the
                                 * rows are channels, and the chain takes images that lie together */
    bool b_tail;                /* B ends with the tail too; else it is padded */
    bool c_whole;               /* C does not: with b_tail, all lanes of it are stored */
    int64_t depth;              /* k in a segment; 0: the argument `depth` */
    int segments;               /* >= 0, constant, a_segment and b_segment apart */
    int64_t a_segment, b_segment;
    int a_columns;              /* > 0: segments of A in rows of so many, a_column apart within a row, the rows a_segment;
                                 * B goes on without a gap */
    int64_t a_column;
    bool outer;                 /* the argument `outer`: that many times all of it, a_outer and b_outer apart */
    int64_t a_outer, b_outer;
    int64_t c_row;
    bool accumulate;            /* begins with C instead of zero */
    bool pairs;                 /* A and B are pairs of bfloat16 (cnn_bf16.h), and so k counts; C is of reals */
    const struct chain *chain;  /* applied before C is stored; NULL: none */
    int64_t a_ahead;            /* != 0: while A is read, what lies so many elements on is fetched, a line for each k */
    bool next;                  /* the argument `next`: fetched likewise */
    bool far;                   /* C and the chain's operands are not in the cache yet: asked for before the sum,
                                 * which must be deep enough for them to come */
    bool below;                 /* likewise, of the tile below this one */
    bool onward;                /* the tile that follows goes on below C: its C is asked for before the sum */
};

/* Emits (once) the tile's function; name(a, b, c[, depth][, outer][, next][chain operands]).  Without segments
 * there is no a nor b: C is what the chain makes of 0. */
const char *emit_tile(struct emitter *e, const struct tile *t);

/* Rows split evenly into tiles of at most `most`: `large_count` of `large` rows, then `small_count` of large - 1. */
struct row_split {
    int large, large_count, small_count;
};
struct row_split split_rows(int64_t rows, int most);
/* Most rows of a tile that is `vectors` wide on this target. */
int tile_rows_max(const struct plan *p, int vectors);

#endif
