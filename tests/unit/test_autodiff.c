/* test_autodiff.c - the backward graph: its structure on hand-built diamonds, and its numbers,
 * computed by each operation's obvious loops (ops/run_graph.h), against finite differences on hand-built and random
 * networks. */
#include <criterion/criterion.h>
#include <math.h>
#include "random_network.h"

static struct graph *differentiated(struct network *n)
{
    struct graph *g = lower_model(&n->arena, &n->model, true);
    const char *wrong = graph_verify(g);

    cr_assert_null(wrong, "before autodiff: %s", wrong);
    differentiate(g);
    wrong = graph_verify(g);
    cr_assert_null(wrong, "after autodiff: %s", wrong);
    return g;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static double loss_of(const struct run *r)
{
    run_graph(r, false);
    return run_loss(r);
}

/* A difference at one step, or none: the loss has a kink within it. */
static bool finite_difference(const struct run *r, double *w, double h, double *slope)
{
    double kept = *w, wide, narrow;

    *w = kept + h;
    wide = loss_of(r);
    *w = kept - h;
    wide = (wide - loss_of(r)) / (2 * h);
    *w = kept + h / 8;
    narrow = loss_of(r);
    *w = kept - h / 8;
    narrow = (narrow - loss_of(r)) / (h / 4);
    *w = kept;
    *slope = narrow;
    return fabs(wide - narrow) <= 1e-6 * (1 + fabs(narrow));
}

/* Gradients of up to `samples` elements of each parameter; returns how many could be compared. */
static int compare_gradients(struct network *n, const struct graph *g, int batch, int samples,
                             uint64_t seed)
{
    struct run r = filled_run(n, g, batch, &seed);
    int compared = 0;

    loss_of(&r);
    run_graph(&r, true);
    for (int i = 0; i < g->params_count; i++) {
        const struct param *p = g->params[i];
        for (int s = 0; p->gradient && s < samples; s++) {
            int64_t e = choose(&seed, (int)param_elements(p));
            double slope, found = run_values(&r, p->gradient)[e];
            if (!finite_difference(&r, run_values(&r, p->tensor) + e, 1e-4, &slope))
                continue;
            compared++;
            cr_assert(fabs(slope - found) <= 2e-6 * (1 + fabs(slope)),
                      "%s[%lld]: gradient %.12g, difference %.12g", p->name, (long long)e, found,
                      slope);
        }
    }
    return compared;
}

static void expect_right_gradients(struct network *n, const struct graph *g)
{
    cr_assert_gt(compare_gradients(n, g, 3, 12, 1), 2 * g->params_count,
                 "too few elements could be compared");
}

/* ---- diamonds -------------------------------------------------------------------------------- */

Test(autodiff, two_consumers_are_summed_once)
{
    struct network n;

    network_begin(&n);
    struct layer *fork = put_conv(&n, put_input(&n, 2, 4, 5), 3, 2, 2);
    struct layer *first = put_act(&n, fork, "tanh"), *second = put_act(&n, fork, "sigmoid");
    put_loss(&n, put(&n, "flatten", put_add(&n, first, second)), 4);
    struct graph *g = differentiated(&n);
    cr_assert_eq(count_op(g, OP_sum), 1);
    const struct tensor *t = tensor_named(g, "conv2d_1_bias_y");
    cr_assert_eq(t->consumers_count, 2);
    cr_assert_eq(t->gradient->producer->op, OP_sum);
    /* consumers from the last to the first */
    cr_assert_str_eq(t->gradient->producer->in[0]->producer->name, "sigmoid_1_grad");
    cr_assert_str_eq(t->gradient->producer->in[1]->producer->name, "tanh_1_grad");
    /* both operands of the sum get the same tensor: nothing is copied */
    cr_assert_eq(tensor_named(g, "tanh_1_y")->gradient, tensor_named(g, "sigmoid_1_y")->gradient);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, three_consumers_take_two_sums)
{
    struct network n;

    network_begin(&n);
    struct layer *fork = put_conv(&n, put_input(&n, 2, 4, 5), 3, 2, 2);
    struct layer *branches[] = { put_act(&n, fork, "tanh"), fork, put_act(&n, fork, "softplus") };
    struct layer *join = layer_join(&n, "add", branches, 3);
    cr_assert(layer_shape(&n, join));
    put_loss(&n, put(&n, "flatten", join), 4);
    struct graph *g = differentiated(&n);
    cr_assert_eq(count_op(g, OP_add), 2);
    cr_assert_eq(count_op(g, OP_sum), 2);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, a_tensor_added_to_itself)
{
    struct network n;

    network_begin(&n);
    struct layer *fork = put_conv(&n, put_input(&n, 2, 4, 5), 3, 2, 2);
    put_loss(&n, put(&n, "flatten", put_add(&n, fork, fork)), 4);
    struct graph *g = differentiated(&n);
    cr_assert_eq(tensor_named(g, "conv2d_1_bias_y")->consumers_count, 1);
    cr_assert_eq(count_op(g, OP_sum), 1);
    expect_right_gradients(&n, g);
    network_end(&n);
}

/* Each input that leads to something trained gets its channels of the gradient; one that stands there twice both. */
Test(autodiff, concatenations_are_cut_apart)
{
    struct network n;

    network_begin(&n);
    struct layer *input = put_input(&n, 2, 4, 5), *fork = put_conv(&n, input, 3, 2, 2);
    struct layer *a = put_act(&n, fork, "tanh"), *b = put_conv(&n, fork, 5, 1, 1);
    struct layer *first = CONCAT(&n, a, b, a), *picture = put_pool(&n, input, "avgpool2d", 2, 2);
    arg_pair(picture, "stride", 1, 1);
    cr_assert(layer_shape(&n, picture));
    struct layer *second = CONCAT(&n, picture, first, fork);
    cr_assert_eq(second->out.c, 2 + 11 + 3);
    put_loss(&n, put(&n, "flatten", put_act(&n, second, "sigmoid")), 4);
    struct graph *g = differentiated(&n);
    cr_assert_eq(count_op(g, OP_concat), 2);
    cr_assert_eq(count_op(g, OP_slice), 5);
    expect_right_gradients(&n, g);
    node_named(g, "concat_1_slice")->attr.channel = 9;
    cr_assert_not_null(graph_verify(g));
    network_end(&n);
}

Test(autodiff, nested_diamonds)
{
    struct network n;

    network_begin(&n);
    struct layer *outer = put_conv(&n, put_input(&n, 2, 5, 4), 3, 1, 1);
    struct layer *inner = put_conv(&n, put_act(&n, outer, "elu"), 3, 1, 1);
    struct layer *left = put_act(&n, inner, "sigmoid"), *right = put_act(&n, inner, "swish");
    struct layer *join = put_add(&n, left, put_add(&n, right, inner));
    put_loss(&n, put(&n, "flatten", put_add(&n, join, outer)), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(count_op(g, OP_sum), 3);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, spread_operand_is_summed_over_the_map)
{
    struct network n;

    network_begin(&n);
    struct layer *map = put_conv(&n, put_input(&n, 2, 5, 4), 3, 2, 2);
    struct layer *vector = put_dense(&n, put(&n, "global_avgpool2d", map), 3);
    put_loss(&n, put(&n, "flatten", put_add(&n, vector, map)), 3);
    struct graph *g = differentiated(&n);
    const struct node *add = node_named(g, "add_1");
    cr_assert_str_eq(add->in[0]->name, "conv2d_1_bias_y");       /* what is spread comes second */
    cr_assert_str_eq(add->in[1]->name, "dense_1_bias_y");
    cr_assert_eq(count_op(g, OP_spread_grad), 1);
    expect_right_gradients(&n, g);
    network_end(&n);
}

/* The product's gradient takes the other factor; of what is spread it is summed. */
Test(autodiff, factors)
{
    struct network n;

    network_begin(&n);
    struct layer *map = put_act(&n, put_conv(&n, put_input(&n, 2, 5, 4), 3, 2, 2), "tanh");
    struct layer *gate = put_act(&n, put_dense(&n, put(&n, "global_avgpool2d", map), 3), "sigmoid");
    struct layer *other = put_conv(&n, map, 3, 1, 1), *one = put_pool(&n, other, "avgpool2d", 4, 3);
    struct layer *product = put_join(&n, "multiply", (struct layer *[]){ gate, map, one, other }, 4);
    put_loss(&n, put(&n, "flatten", product), 3);
    struct graph *g = differentiated(&n);
    const struct node *first = node_named(g, "multiply_1");
    cr_assert_str_eq(first->in[0]->name, "tanh_1_y");            /* what is spread comes last */
    cr_assert_str_eq(first->in[1]->name, "conv2d_2_bias_y");
    cr_assert_eq(count_op(g, OP_multiply), 3 + 4);
    cr_assert_eq(count_op(g, OP_multiply_spread_grad), 2);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, a_tensor_times_itself)
{
    struct network n;

    network_begin(&n);
    struct layer *fork = put_conv(&n, put_input(&n, 2, 4, 5), 3, 2, 2), *square = put_multiply(&n, fork, fork);
    put_loss(&n, put(&n, "flatten", put_multiply(&n, square, fork)), 4);
    struct graph *g = differentiated(&n);
    expect_right_gradients(&n, g);
    network_end(&n);
}

/* A factor that leads to nothing trained has no gradient. */
Test(autodiff, the_picture_as_a_factor)
{
    struct network n;

    network_begin(&n);
    struct layer *input = put_input(&n, 3, 4, 5);
    put_loss(&n, put(&n, "flatten", put_multiply(&n, put_conv(&n, input, 3, 1, 1), input)), 4);
    struct graph *g = differentiated(&n);
    cr_assert_eq(count_op(g, OP_multiply), 2);
    cr_assert_null(g->input->gradient);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, flattened_maps_joined)
{
    static const char *const kinds[] = { "concat", "multiply" };

    for (int k = 0; k < 2; k++) {
        struct network n;
        network_begin(&n);
        struct layer *map = put_conv(&n, put_input(&n, 2, 4, 5), 3, 2, 2), *flat = put(&n, "flatten", map);
        struct layer *dense = put_act(&n, put_dense(&n, flat, flat->out.c), "tanh");
        put_loss(&n, put_join(&n, kinds[k], (struct layer *[]){ dense, flat, dense }, 3), 4);
        struct graph *g = differentiated(&n);
        cr_assert_gt(count_op(g, OP_reorder), 0);
        expect_right_gradients(&n, g);
        network_end(&n);
    }
}

Test(autodiff, the_greatest_of_a_channel)
{
    struct network n;

    network_begin(&n);
    struct layer *map = put_act(&n, put_conv(&n, put_input(&n, 2, 5, 4), 3, 2, 2), "tanh");
    put_loss(&n, put(&n, "global_maxpool2d", put_conv(&n, map, 5, 1, 1)), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(node_named(g, "global_maxpool2d_1")->out_count, 2);
    expect_right_gradients(&n, g);
    network_end(&n);
    network_begin(&n);                          /* nothing is kept where nobody asks */
    put_loss(&n, put(&n, "global_maxpool2d", put_input(&n, 2, 5, 4)), 3);
    g = differentiated(&n);
    cr_assert_eq(node_named(g, "global_maxpool2d_1")->out_count, 1);
    cr_assert_eq(count_op(g, OP_global_maxpool2d_grad), 0);
    network_end(&n);
}

/* ---- nothing that nobody needs --------------------------------------------------------------- */

Test(autodiff, the_first_layer_has_no_data_gradient)
{
    struct network n;

    network_begin(&n);
    struct layer *l =
        put_conv(&n, put_pool(&n, put_input(&n, 2, 9, 8), "maxpool2d", 2, 2), 3, 2, 2);
    put_loss(&n, put(&n, "flatten", put_conv(&n, l, 2, 2, 2)), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(count_op(g, OP_conv2d_weight_grad), 2);
    cr_assert_eq(count_op(g, OP_conv2d_data_grad), 1);
    cr_assert_eq(count_op(g, OP_maxpool2d_grad), 0);
    cr_assert_eq(node_named(g, "maxpool2d_1")->out_count, 1);
    cr_assert_null(g->input->gradient);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, frozen_layers)
{
    struct network n;

    network_begin(&n);
    struct layer *first = put_conv(&n, put_input(&n, 2, 6, 6), 3, 2, 2),
                 *second = put_conv(&n, first, 3, 2, 2);
    struct layer *norm = put(&n, "batchnorm", second), *third = put_conv(&n, norm, 2, 2, 2);
    first->trainable = third->trainable = norm->trainable = false;
    put_loss(&n, put(&n, "flatten", third), 3);
    struct graph *g = differentiated(&n);
    cr_assert_null(param_named(g, "conv2d_1.weight")->gradient);
    cr_assert_null(param_named(g, "conv2d_3.weight")->gradient);
    cr_assert_not_null(param_named(g, "conv2d_2.weight")->gradient);
    cr_assert_eq(count_op(g, OP_conv2d_weight_grad), 1);
    cr_assert_eq(count_op(g, OP_conv2d_data_grad), 1); /* through the third; none into the first */
    cr_assert_eq(count_op(g, OP_batchnorm_moments), 0);
    cr_assert_eq(count_op(g, OP_batchnorm_use_grad), 1);
    expect_right_gradients(&n, g);
    network_end(&n);
}

/* Only what learns has a gradient; what the data's gradient needs beside it is summed all the same. */
Test(autodiff, biases_alone)
{
    struct network n;

    network_begin(&n);
    struct layer *first = put_conv(&n, put_input(&n, 2, 6, 6), 3, 2, 2), *norm = put(&n, "batchnorm", first);
    struct layer *second = put_conv(&n, norm, 2, 2, 2), *dense = put_dense(&n, put(&n, "flatten", second), 4);
    first->bias_only = second->bias_only = norm->bias_only = dense->bias_only = true;
    put_loss(&n, dense, 3);
    struct graph *g = differentiated(&n);
    static const char *const layers[] = { "conv2d_1", "batchnorm_1", "conv2d_2", "dense_1" };
    for (int i = 0; i < 4; i++) {
        cr_assert_null(param_named(g, arena_printf(&n.arena, "%s.weight", layers[i]))->gradient);
        cr_assert_not_null(param_named(g, arena_printf(&n.arena, "%s.bias", layers[i]))->gradient);
    }
    cr_assert_eq(count_op(g, OP_conv2d_weight_grad), 0);
    cr_assert_eq(count_op(g, OP_dense_weight_grad), 1);         /* of the loss' own layer */
    cr_assert_eq(count_op(g, OP_conv2d_data_grad), 1);
    cr_assert_eq(node_named(g, "batchnorm_1_param_grad")->out[0]->role, TENSOR_SAVED);
    cr_assert_eq(layer_trained(first), 3);
    cr_assert_eq(layer_trained(norm), 3);
    expect_right_gradients(&n, g);
    network_end(&n);
}

/* Nothing before it learns: no sum is made that nobody reads. */
Test(autodiff, batchnorm_without_scale_or_center)
{
    for (int which = 0; which < 8; which++) {
        struct network n;
        bool scale = which & 1, center = which & 2, learns = which & 4;
        network_begin(&n);
        struct layer *l = put_input(&n, 2, 6, 6);
        l = learns ? put_conv(&n, l, 3, 2, 2) : l;
        struct layer *norm = put(&n, "batchnorm", l);
        arg_number(norm, "scale", scale);
        arg_number(norm, "center", center);
        put_loss(&n, put(&n, "flatten", put_conv(&n, norm, 2, 2, 2)), 3);
        struct graph *g = differentiated(&n);
        const struct node *sums = node_named(g, "batchnorm_1_param_grad");
        cr_assert_eq(param_named(g, "batchnorm_1.weight") != NULL, scale);
        cr_assert_eq(param_named(g, "batchnorm_1.bias") != NULL, center);
        cr_assert_eq(sums != NULL, learns || scale || center);
        cr_assert_eq(sums && sums->out[0], learns || scale);
        cr_assert_eq(sums && sums->out[1], learns || center);
        cr_assert_eq(norm->def->parameters(norm), (2 + scale + center) * norm->out.c);
        expect_right_gradients(&n, g);
        network_end(&n);
    }
}

/* Ghost batches of one, of two with one left over, of more than there are; with and without what learns. */
Test(autodiff, batchnorm_of_ghost_batches)
{
    for (int which = 0; which < 32; which++) {
        struct network n;
        bool scale = which & 1, center = which & 2, learns = which & 4;
        network_begin(&n);
        struct layer *l = put_input(&n, 2, 6, 6);
        l = learns ? put_conv(&n, l, 3, 2, 2) : l;
        struct layer *norm = layer_after(&n, "batchnorm", l);
        arg_number(norm, "group", 1 + which / 8);
        cr_assert(layer_shape(&n, norm));
        arg_number(norm, "scale", scale);
        arg_number(norm, "center", center);
        put_loss(&n, put(&n, "flatten", put_conv(&n, norm, 2, 2, 2)), 3);
        struct graph *g = differentiated(&n);
        cr_assert_eq(count_op(g, OP_ghost_moments), 1);
        cr_assert_eq(count_op(g, OP_ghost_sums), learns || scale || center);
        expect_right_gradients(&n, g);
        network_end(&n);
    }
}

/* Shares that are normalised together; each by itself; with and without what learns.  One run has all of the batch. */
Test(autodiff, batchnorm_of_shares)
{
    for (int which = 0; which < 16; which++) {
        struct network n;
        bool scale = which & 1, center = which & 2, learns = which & 4, sync = which & 8;
        network_begin(&n);
        n.model.batch = 6;
        n.model.share = 4;
        struct layer *l = put_input(&n, 2, 6, 6);
        l = learns ? put_conv(&n, l, 3, 2, 2) : l;
        struct layer *norm = put(&n, "batchnorm", l);
        arg_number(norm, "scale", scale);
        arg_number(norm, "center", center);
        arg_number(norm, "sync", sync);
        put_loss(&n, put(&n, "flatten", put_conv(&n, norm, 2, 2, 2)), 3);
        struct graph *g = differentiated(&n);
        cr_assert_eq(count_op(g, OP_shared_moments), sync);
        cr_assert_eq(count_op(g, OP_batchnorm_moments), !sync);
        cr_assert_eq(count_op(g, OP_share_sums), sync && learns);
        expect_right_gradients(&n, g);
        network_end(&n);
    }
}

/* Over channels, over all, and by groups; with and without what learns, above a layer that learns or above none. */
Test(autodiff, normalisation_of_samples)
{
    for (int which = 0; which < 48; which++) {
        struct network n;
        bool scale = which & 1, center = which & 2, learns = which & 4, flat = which & 8;
        int kind = which / 16;
        network_begin(&n);
        struct layer *l = put_input(&n, 2, 5, 4);
        l = learns ? put_conv(&n, l, 4, 2, 2) : l;
        l = flat ? put(&n, "flatten", l) : l;
        struct layer *norm = layer_after(&n, kind == 2 ? "groupnorm" : "layernorm", l);
        if (kind == 1)
            arg_text(norm, "over", "all");
        if (kind == 2)
            arg_number(norm, "groups", 2);
        cr_assert(layer_shape(&n, norm));
        arg_number(norm, "scale", scale);
        arg_number(norm, "center", center);
        int64_t each = kind == 1 ? shape_elements(norm->out) : norm->out.c;
        cr_assert_eq(norm->def->parameters(norm), (scale + center) * each);
        cr_assert_eq(norm->def->biases(norm), center * each);
        put_loss(&n, flat ? norm : put(&n, "flatten", put_conv(&n, norm, 2, 2, 2)), 3);
        struct graph *g = differentiated(&n);
        expect_right_gradients(&n, g);
        network_end(&n);
    }
}

/* A frozen one still lets through what learns below it. */
Test(autodiff, frozen_normalisation_of_samples)
{
    struct network n;

    network_begin(&n);
    struct layer *conv = put_conv(&n, put_input(&n, 2, 5, 4), 4, 2, 2), *layer = put(&n, "layernorm", conv);
    struct layer *group = layer_after(&n, "groupnorm", layer);
    arg_number(group, "groups", 2);
    cr_assert(layer_shape(&n, group));
    layer->trainable = false;
    group->bias_only = true;
    put_loss(&n, put(&n, "flatten", group), 3);
    struct graph *g = differentiated(&n);
    cr_assert_null(param_named(g, "layernorm_1.weight")->gradient);
    cr_assert_null(param_named(g, "groupnorm_1.weight")->gradient);
    cr_assert_not_null(param_named(g, "groupnorm_1.bias")->gradient);
    cr_assert_not_null(param_named(g, "conv2d_1.weight")->gradient);
    expect_right_gradients(&n, g);
    network_end(&n);
}

/* Sizes that are even, larger than the channels, or one; powers that are roots and such that are none. */
Test(autodiff, lrn_and_prelu)
{
    static const struct { double size, alpha, beta, k; } cases[] = {
        { 5, 1e-4, 0.75, 2 }, { 3, 1, 0.75, 0.5 }, { 2, 0.5, 1, 1 }, { 4, 2, 0.5, 1 }, { 1, 1, 2.3, 0.5 },
            { 21, 0.3, 0.6, 1 }
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct network n;
        network_begin(&n);
        struct layer *l = put(&n, "prelu", put_conv(&n, put_input(&n, 2, 5, 4), 7, 2, 2)), *lrn = layer_after(&n, "lrn",
                l);
        arg_number(lrn, "size", cases[i].size);
        arg_number(lrn, "alpha", cases[i].alpha);
        arg_number(lrn, "beta", cases[i].beta);
        arg_number(lrn, "k", cases[i].k);
        cr_assert(layer_shape(&n, lrn));
        l = put(&n, "prelu", put(&n, "flatten", put_conv(&n, lrn, 3, 2, 2)));
        if (i & 1)
            l->trainable = false;
        put_loss(&n, l, 3);
        struct graph *g = differentiated(&n);
        cr_assert_eq(param_named(g, "prelu_1.weight")->init.a, 0.25);
        cr_assert_eq(param_named(g, "prelu_2.weight")->gradient != NULL, !(i & 1));
        expect_right_gradients(&n, g);
        network_end(&n);
    }
}

Test(autodiff, constant_factor)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "scale", put_conv(&n, put_input(&n, 2, 5, 5), 3, 2, 2));
    arg_number(l, "factor", -0.75);
    cr_assert(layer_shape(&n, l));
    put_loss(&n, put(&n, "flatten", l), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(node_named(g, "scale_1")->attr.factor, -0.75);
    cr_assert_eq(node_named(g, "scale_1_grad")->attr.factor, -0.75);
    expect_right_gradients(&n, g);
    network_end(&n);
}

static struct layer *put_local(struct network *n, struct layer *from, int filters, int kh, int kw,
                               int sh, int sw)
{
    struct layer *l = layer_after(n, "locally_connected2d", from);

    arg_number(l, "filters", filters);
    arg_pair(l, "kernel", kh, kw);
    arg_pair(l, "stride", sh, sw);
    if (!layer_shape(n, l))
        abort();
    return l;
}

Test(autodiff, locally_connected_bias_alone)
{
    struct network n;

    network_begin(&n);
    struct layer *first = put_local(&n, put_input(&n, 2, 5, 4), 3, 2, 2, 1, 1);
    first->bias_only = true;
    put_loss(&n, put(&n, "flatten", put(&n, "elu", first)), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(count_op(g, OP_locally_connected2d_weight_grad), 0);
    cr_assert_eq(count_op(g, OP_locally_connected2d_bias_grad), 1);
    cr_assert_eq(layer_trained(first), 4 * 3 * 3);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, locally_connected_layers)
{
    struct network n;

    network_begin(&n);
    struct layer *first = put_local(&n, put_input(&n, 2, 7, 6), 3, 2, 3, 1, 1),
                 *second = put_local(&n, put(&n, "elu", first), 2, 1, 2, 2, 3);
    arg_number(second, "bias", 0);
    put_loss(&n, put(&n, "flatten", second), 3);
    struct graph *g = differentiated(&n);
    const char *broken = graph_verify(g);
    cr_assert_null(broken, "%s", broken);
    cr_assert_eq(node_named(g, "locally_connected2d_1")->in_count, 3);
    cr_assert_eq(node_named(g, "locally_connected2d_1_weight_grad")->out_count, 2);
    cr_assert_eq(node_named(g, "locally_connected2d_2")->in_count, 2);
    cr_assert_eq(node_named(g, "locally_connected2d_2_weight_grad")->out_count, 1);
    cr_assert_eq(count_op(g, OP_locally_connected2d_data_grad), 1); /* none for the input */
    cr_assert_eq(param_elements(param_named(g, "locally_connected2d_1.weight")),
                 6 * 4 * 3 * 2 * 2 * 3);
    cr_assert_eq(param_elements(param_named(g, "locally_connected2d_1.bias")), 6 * 4 * 3);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, a_frozen_locally_connected_layer_passes_gradients_on)
{
    struct network n;

    network_begin(&n);
    struct layer *l = put_local(&n, put_conv(&n, put_input(&n, 2, 6, 6), 3, 2, 2), 2, 2, 2, 1, 1);
    l->trainable = false;
    put_loss(&n, put(&n, "flatten", l), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(count_op(g, OP_locally_connected2d_weight_grad), 0);
    cr_assert_eq(count_op(g, OP_locally_connected2d_data_grad), 1);
    cr_assert_null(param_named(g, "locally_connected2d_1.bias")->gradient);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, nothing_trainable_nothing_backward)
{
    struct network n;

    network_begin(&n);
    put_loss(&n, put(&n, "flatten", put_input(&n, 2, 6, 6)), 3);
    n.model.layers[2]->trainable = false;
    struct graph *g = differentiated(&n);
    for (int i = 0; i < g->nodes_count; i++)
        cr_assert_not(g->nodes[i]->backward);
    network_end(&n);
}

Test(autodiff, without_a_loss_nothing_is_added)
{
    struct network n;

    network_begin(&n);
    put_conv(&n, put_input(&n, 2, 6, 6), 3, 2, 2);
    struct graph *g = lower_model(&n.arena, &n.model, true);
    int nodes = g->nodes_count;
    differentiate(g);
    cr_assert_eq(g->nodes_count, nodes);
    cr_assert_null(graph_verify(g));
    network_end(&n);
}

/* ---- each layer ------------------------------------------------------------------------------ */

Test(autodiff, every_activation)
{
    static const char *const names[] = {
#define ACTIVATION(id, ...) #id,
#include "expr/activations.def"
#undef ACTIVATION
        "softmax" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct network n;
        network_begin(&n);
        struct layer *conv = put_conv(&n, put_input(&n, 2, 5, 4), 3, 2, 2);
        arg_activation(&n, conv, names[i]);
        put_loss(&n, put(&n, "flatten", conv), 3);
        struct graph *g = differentiated(&n);
        const char *name = arena_printf(&n.arena, "conv2d_1_%s_grad", names[i]);
        cr_assert_not_null(node_named(g, name), "%s", name);
        expect_right_gradients(&n, g);
        network_end(&n);
    }
}

Test(autodiff, pooling_dropout_batchnorm)
{
    struct network n;

    network_begin(&n);
    struct layer *l = put_conv(&n, put_input(&n, 2, 9, 8), 3, 2, 2);
    l = put_dropout(&n, put(&n, "batchnorm", l), 0.4);
    struct layer *max = layer_after(&n, "maxpool2d", l), *mean = layer_after(&n, "avgpool2d", l);
    arg_pair(max, "window", 3, 2);
    arg_pair(mean, "window", 3, 2);
    arg_pair(max, "stride", 2, 1);
    arg_pair(mean, "stride", 2, 1);
    arg_text(max, "padding", "same");
    arg_text(mean, "padding", "same");
    cr_assert(layer_shape(&n, max) && layer_shape(&n, mean));
    l = put(&n, "batchnorm", put(&n, "flatten", put_add(&n, max, mean)));
    put_loss(&n, put_dropout(&n, l, 0.2), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(node_named(g, "dropout_1_grad")->attr.stream, node_named(g, "dropout_1")->attr.stream);
    cr_assert_neq(node_named(g, "dropout_2")->attr.stream, node_named(g, "dropout_1")->attr.stream);
    expect_right_gradients(&n, g);
    network_end(&n);
}

/* Its gradients are a convolution and that convolution's weight gradient. */
Test(autodiff, conv2d_transpose)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "conv2d_transpose", put_conv(&n, put_input(&n, 2, 4, 3), 3, 2, 2));
    arg_number(l, "filters", 4);
    arg_pair(l, "kernel", 3, 2);
    arg_pair(l, "stride", 2, 3);
    arg_pair(l, "padding", 1, 0);
    arg_pair(l, "output_padding", 1, 2);
    cr_assert(layer_shape(&n, l));
    put_loss(&n, put(&n, "flatten", put(&n, "tanh", l)), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(node_named(g, "conv2d_transpose_1")->op, OP_conv2d_data_grad);
    cr_assert_eq(node_named(g, "conv2d_transpose_1_data_grad")->op, OP_conv2d);
    cr_assert_eq(node_named(g, "conv2d_transpose_1_weight_grad")->op, OP_conv2d_weight_grad);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, convolutions_in_groups)
{
    struct network n;

    network_begin(&n);
    struct layer *deep = layer_after(&n, "depthwise_conv2d", put_conv(&n, put_input(&n, 2, 9, 8), 6, 2, 2));
    arg_pair(deep, "kernel", 3, 2);
    arg_pair(deep, "stride", 2, 1);
    arg_number(deep, "multiplier", 2);
    arg_text(deep, "padding", "same");
    cr_assert(layer_shape(&n, deep));
    struct layer *parts = layer_after(&n, "conv2d", deep);
    arg_number(parts, "filters", 9);
    arg_number(parts, "groups", 3);
    arg_pair(parts, "kernel", 2, 2);
    arg_pair(parts, "dilation", 2, 1);
    cr_assert(layer_shape(&n, parts));
    struct layer *back = layer_after(&n, "conv2d_transpose", parts);
    arg_number(back, "filters", 6);
    arg_number(back, "groups", 3);
    arg_pair(back, "kernel", 2, 3);
    arg_pair(back, "stride", 1, 2);
    cr_assert(layer_shape(&n, back));
    struct layer *apart = layer_after(&n, "separable_conv2d", back);
    arg_number(apart, "filters", 4);
    arg_pair(apart, "kernel", 2, 2);
    cr_assert(layer_shape(&n, apart));
    put_loss(&n, put(&n, "flatten", apart), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(node_named(g, "conv2d_transpose_1")->op, OP_grouped_conv2d_data_grad);
    cr_assert_eq(node_named(g, "conv2d_transpose_1_data_grad")->op, OP_grouped_conv2d);
    cr_assert_eq(count_op(g, OP_grouped_conv2d_data_grad), 4);
    cr_assert_eq(count_op(g, OP_grouped_conv2d_weight_grad), 4);
    expect_right_gradients(&n, g);
    network_end(&n);
}

Test(autodiff, moves)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "zero_pad2d", put_conv(&n, put_input(&n, 2, 4, 3), 3, 2, 2));
    memcpy(clause_value(l->clause, "padding")->dims, (int64_t[]){ 1, 0, 0, 2 }, 4 * sizeof(int64_t));
    cr_assert(layer_shape(&n, l));
    l = layer_after(&n, "upsample2d", put(&n, "tanh", l));
    arg_pair(l, "factor", 2, 1);
    cr_assert(layer_shape(&n, l));
    l = layer_after(&n, "upsample2d", put(&n, "tanh", l));
    arg_pair(l, "factor", 2, 3);
    arg_text(l, "mode", "bilinear");
    cr_assert(layer_shape(&n, l));
    l = layer_after(&n, "pad_channels", l);
    arg_pair(l, "channels", 1, 2);
    cr_assert(layer_shape(&n, l));
    struct layer *shape = layer_after(&n, "reshape", put_conv(&n, put(&n, "tanh", l), 4, 3, 3));
    arg_pair(shape, "extent", 14, 4);
    clause_value(shape->clause, "extent")->dims[2] = 10;
    cr_assert(layer_shape(&n, shape));
    put_loss(&n, put(&n, "flatten", put_conv(&n, shape, 2, 2, 2)), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(node_named(g, "pad_channels_1_slice")->op, OP_slice);
    expect_right_gradients(&n, g);
    network_end(&n);
}

/* A vector of a flattened map, normalised, joined with a dense layer's result, and the final result
 * itself. */
Test(autodiff, orders_of_flattened_maps)
{
    struct network n;

    network_begin(&n);
    struct layer *map = put_conv(&n, put_input(&n, 2, 4, 3), 3, 2, 2),
                 *flat = put(&n, "flatten", map);
    struct layer *norm = put(&n, "batchnorm", flat), *dense = put_dense(&n, norm, flat->out.c);
    struct layer *sum = put_add(&n, dense, norm);
    put_loss(&n, put_add(&n, put(&n, "flatten", map), put(&n, "tanh", sum)), 3);
    struct graph *g = differentiated(&n);
    cr_assert_eq(param_order(param_named(g, "batchnorm_1.weight"), CNN_AXIS_OUT).c, 3);
    cr_assert_eq(param_order(param_named(g, "dense_1.weight"), CNN_AXIS_IN).c, 3);
    cr_assert_geq(count_op(g, OP_reorder), 2);
    expect_right_gradients(&n, g);
    network_end(&n);
}

/* ---- random networks ------------------------------------------------------------------------- */

Test(autodiff, random_networks)
{
    int compared = 0;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct network n;
        uint64_t state = seed * 7919;
        put_random(&n, &state);
        compared += compare_gradients(&n, differentiated(&n), 1 + choose(&state, 4), 4, seed);
        network_end(&n);
    }
    cr_assert_gt(compared, 1000, "only %d elements could be compared", compared);
}
