/* bounds.h - how much of anything cnnc takes, so that it is done within seconds and a gigabyte whatever it is given.
 * docs/language.md has the table for users; tests/behave/limits.sh measures that time and memory grow no faster than what
 * is given, and that at the limits they are what this promises.
 *
 * Each is far beyond what a network that can be trained needs, and none is there for the sake of neatness: beyond it
 * memory, time, or what is emitted would not be in proportion any more. */
#ifndef BOUNDS_H
#define BOUNDS_H

enum {
    /* ---- files */
    SOURCE_LARGEST = 1 << 20,   /* bytes of a file, and of all that are included together, each as often as it is.  A
                                 * byte costs up to a kilobyte: tokens, tree, values.  Data given by mistake and endless
                                 * devices are refused before they fill memory. */
    INCLUDES_MOST = 200,        /* files included in all: an empty one costs nothing but is opened and read */
    INCLUDES_DEEPEST = 20,      /* by one another: each is a level of recursion */

    /* ---- words and brackets */
    NAME_LONGEST = 64,          /* names come again in names of C and in messages many times */
    EXPRESSION_DEEPEST = 200,   /* brackets and operators: each is a level of recursion */
    VALUE_DEEPEST = 1000,       /* constants that need one another: levels of recursion again */

    /* ---- things with names */
    CONSTANTS_MOST = 5000,
    LAYERS_MOST = 2000,         /* a plan has about ten steps, tensors and buffers for each; laying these out in memory
                                 * is the one thing whose time grows with the square, and here it takes milliseconds */
    JOINED_MOST = 2000,         /* results that joins take, in all: each is an operation and its gradient */
    STEPS_MOST = 100,           /* of `data`: each goes over every picture, and none of them twice is of use */
    CALLBACKS_MOST = 100,       /* each is asked after every step, and must not get into another's way */
    BLOCKS_MOST = 1000,
    BLOCK_PARAMETERS_MOST = 50,
    BODIES_DEEPEST = 500,       /* bodies and uses of blocks within one another: levels of recursion */
    REPEATS_MOST = 2000,        /* rounds: each has a layer, or is of no use */
    EXPANDED_MOST = 100000,     /* statements of the network, each as often as it is looked at: blocks that use others
                                 * twice double what they use */
    SELECTORS_MOST = 2000,      /* names behind `params`: each is looked at for every parameter */
    METRICS_MOST = 1000,        /* columns of the history */
    FUNCTIONS_MOST = 1000,

    /* ---- metrics of the user's own */
    FUNCTION_PARAMETERS_MOST = 50,
    FUNCTION_LOCALS_MOST = 500,
    FUNCTION_LARGEST = 20000,   /* names, numbers and operations of a function with those of all that it calls */
    ACTIVATION_LARGEST = 500,   /* the same of an activation, which is written into every kernel that applies it; and ... */
    ACTIVATIONS_LARGEST = 20000,        /* ... of all that layers apply, each with its own arguments, together */
    LOSS_LARGEST = 100000,      /* the same of a loss times its sums and again: a gradient goes through each by each */
    METRICS_LARGEST = 200000,   /* names, numbers and operations of a metric times its sums, which may each need a pass of
                                 * its own that computes anew what it reads; of all metrics together */

    /* ---- numbers */
    CHANNELS_MOST = 1 << 20,
    UNITS_MOST = 1 << 24,
    EXTENT_MOST = 1 << 16,
    WINDOW_MOST = 4096,         /* the products of these four stay within 64 bits */
    ELEMENTS_MOST = 1 << 30,    /* of a result and of a layer's weights: what C's int counts in the emitted loops */
    BATCH_MOST = 65536,

    /* ---- messages */
    MESSAGES_KEPT = 2000,       /* later ones are only counted */
    MESSAGES_PRINTED = 20,      /* of errors, and of warnings */
    SUGGESTIONS_MOST = 100,     /* words looked up among all that there are, for "did you mean" */

    /* ---- emitted text */
    TABLE_LONGEST = 64,         /* numbers of a table within a kernel; what would be longer is computed */
    CLASSES_MOST = 64           /* of pixels of a gradient, each with a loop of its own */
};

#endif
