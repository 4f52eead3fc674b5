/* test_graph.c - lowering: which operations a network becomes, in training and in use; orders of
 * flattened maps; names; and that graph_verify() finds what is broken. */
#include <criterion/criterion.h>
#include <ctype.h>
#include "network_fixture.h"

static struct graph *lowered(struct network *n, bool training)
{
    struct graph *g = lower_model(&n->arena, &n->model, training);
    const char *wrong = graph_verify(g);

    cr_assert_null(wrong, "%s", wrong);
    return g;
}

static struct graph *trained(struct network *n)
{
    struct graph *g = lowered(n, true);

    differentiate(g);
    const char *wrong = graph_verify(g);
    cr_assert_null(wrong, "%s", wrong);
    return g;
}

static void expect_nodes(const struct graph *g, const char *const *names)
{
    int i = 0;

    for (; names[i]; i++)
        cr_assert(i < g->nodes_count && !strcmp(g->nodes[i]->name, names[i]),
                  "node %d is %s, not %s", i, i < g->nodes_count ? g->nodes[i]->name : "missing",
                  names[i]);
    cr_assert_eq(i, g->nodes_count, "%s comes after the last one expected", g->nodes[i]->name);
}

#define NAMES(...) (const char *const[]){ __VA_ARGS__, NULL }

/* A small network with most kinds of layer. */
static void put_sample(struct network *n)
{
    network_begin(n);
    struct layer *l = put_conv(n, put_input(n, 3, 8, 9), 4, 3, 2);
    arg_activation(n, l, "relu");
    l = put_dropout(n, put_pool(n, put(n, "batchnorm", l), "maxpool2d", 2, 2), 0.5);
    l = put_add(n, l, put(n, "gelu", l));
    l = put_dense(n, put(n, "flatten", l), 6);
    arg_activation(n, l, "elu");
    put_loss(n, l, 5);
}

/* ---- lowering -------------------------------------------------------------------------------- */

Test(graph, operations_of_training)
{
    struct network n;

    put_sample(&n);
    struct graph *g = lowered(&n, true);
    expect_nodes(g, NAMES("conv2d_1", "conv2d_1_bias", "conv2d_1_relu", "batchnorm_1_moments",
                          "batchnorm_1", "maxpool2d_1", "dropout_1", "gelu_1", "add_1", "flatten_1",
                          "dense_1", "dense_1_bias", "dense_1_elu", "dense_2", "dense_2_bias",
                          "softmax_loss"));
    cr_assert_str_eq(g->logits->name, "dense_2_bias_y");
    cr_assert_eq(g->predictions->producer, g->loss->producer);
    cr_assert_eq(g->target->element, ELEMENT_I32);
    cr_assert_eq(node_named(g, "maxpool2d_1")->out_count, 2);
    network_end(&n);
}

Test(graph, operations_of_use)
{
    struct network n;

    put_sample(&n);
    struct graph *g = lowered(&n, false), *training = lowered(&n, true);
    expect_nodes(g, NAMES("conv2d_1", "conv2d_1_bias", "conv2d_1_relu", "batchnorm_1",
                          "maxpool2d_1", "gelu_1", "add_1", "flatten_1", "dense_1", "dense_1_bias",
                          "dense_1_elu", "dense_2", "dense_2_bias", "softmax_loss"));
    cr_assert_eq(node_named(g, "batchnorm_1")->op, OP_batchnorm_use);
    cr_assert_eq(node_named(g, "maxpool2d_1")->out_count, 1);
    cr_assert_null(node_named(g, "maxpool2d_1")->out[1]);
    /* both graphs number the parameters alike */
    cr_assert_eq(g->params_count, training->params_count);
    for (int i = 0; i < g->params_count; i++)
        cr_assert_str_eq(g->params[i]->name, training->params[i]->name);
    network_end(&n);
}

Test(graph, parameters_have_pytorchs_names)
{
    struct network n;

    put_sample(&n);
    struct graph *g = lowered(&n, true);
    static const char *const names[] = { "conv2d_1.weight",          "conv2d_1.bias",
                                         "batchnorm_1.weight",       "batchnorm_1.bias",
                                         "batchnorm_1.running_mean", "batchnorm_1.running_var",
                                         "dense_1.weight",           "dense_1.bias",
                                         "dense_2.weight",           "dense_2.bias" };
    cr_assert_eq(g->params_count, 10);
    for (int i = 0; i < 10; i++)
        cr_assert_str_eq(g->params[i]->name, names[i]);
    cr_assert_eq(g->params[2]->init.kind, CNN_INIT_ONES);
    cr_assert_eq(g->params[5]->init.kind, CNN_INIT_ONES);
    cr_assert_not(g->params[4]->trainable);
    cr_assert_eq(param_extent(g->params[0], CNN_AXIS_OUT), 4);
    cr_assert_eq(param_extent(g->params[0], CNN_AXIS_IN), 3);
    cr_assert_eq(param_extent(g->params[0], CNN_AXIS_KH), 3);
    cr_assert_eq(param_extent(g->params[0], CNN_AXIS_KW), 2);
    network_end(&n);
}

Test(graph, networks_without_a_loss)
{
    struct network n;

    network_begin(&n);
    struct layer *l = put_dense(&n, put(&n, "flatten", put_input(&n, 3, 4, 5)), 7);
    struct graph *g = lowered(&n, true);
    cr_assert_eq(g->predictions, tensor_named(g, "dense_1_bias_y"));
    cr_assert_null(g->loss);
    cr_assert_null(g->target);
    put(&n, "softmax", l);
    n.model.ends_in_softmax = true;
    g = lowered(&n, false);
    cr_assert_eq(g->predictions->producer->op, OP_softmax);
    cr_assert_eq(g->logits, tensor_named(g, "dense_1_bias_y"));
    network_end(&n);
}

Test(graph, softmax_in_the_middle_is_an_operation)
{
    struct network n;

    network_begin(&n);
    struct layer *l = put_conv(&n, put_input(&n, 3, 4, 5), 6, 1, 1);
    arg_activation(&n, l, "softmax");
    put_loss(&n, put(&n, "flatten", l), 4);
    struct graph *g = trained(&n);
    cr_assert_eq(count_op(g, OP_softmax), 1);
    cr_assert_eq(count_op(g, OP_softmax_grad), 1);
    cr_assert_eq(count_op(g, OP_softmax_loss), 1);
    network_end(&n);
}

Test(graph, a_map_of_one_position_ends_as_a_vector)
{
    struct network n;

    network_begin(&n);
    arg_activation(&n, put_conv(&n, put_input(&n, 3, 4, 5), 10, 4, 5), "softmax");
    arg_loss(&n, "categorical_crossentropy");
    n.model.ends_in_softmax = true;
    struct graph *g = trained(&n);
    cr_assert(g->logits->shape.flat && g->logits->shape.c == 10);
    cr_assert_eq(g->logits->producer->op, OP_view);
    network_end(&n);
}

Test(graph, dropout_of_nothing_vanishes)
{
    struct network n;

    network_begin(&n);
    put_loss(&n, put_dropout(&n, put(&n, "flatten", put_input(&n, 1, 2, 2)), 0), 3);
    cr_assert_eq(count_op(lowered(&n, true), OP_dropout), 0);
    network_end(&n);
}

/* ---- orders ---------------------------------------------------------------------------------- */

Test(graph, dense_absorbs_the_order_of_a_map)
{
    struct network n;

    network_begin(&n);
    struct layer *l =
        put(&n, "relu", put(&n, "flatten", put_conv(&n, put_input(&n, 3, 4, 5), 6, 2, 2)));
    put_loss(&n, put(&n, "batchnorm", put_dropout(&n, l, 0.5)), 4);
    struct graph *g = trained(&n);
    const struct map_order order = { 6, 3, 4 };
    cr_assert_eq(count_op(g, OP_reorder), 0);
    cr_assert(order_equal(param_order(param_named(g, "dense_1.weight"), CNN_AXIS_IN), order));
    cr_assert(order_equal(param_order(param_named(g, "batchnorm_1.running_mean"), CNN_AXIS_OUT), order));
    cr_assert(order_equal(tensor_named(g, "batchnorm_1_mean")->order, order));
    cr_assert(order_equal(tensor_named(g, "d_relu_1_y")->order, order));
    cr_assert_eq(g->logits->order.c, 0);
    network_end(&n);
}

Test(graph, maps_of_one_position_or_channel_have_no_order)
{
    struct network n;

    network_begin(&n);
    put(&n, "flatten", put_input(&n, 1, 4, 5));
    cr_assert_eq(lowered(&n, true)->predictions->order.c, 0);
    network_end(&n);
    network_begin(&n);
    put(&n, "flatten", put_input(&n, 9, 1, 1));
    cr_assert_eq(lowered(&n, true)->predictions->order.c, 0);
    network_end(&n);
}

Test(graph, results_leave_in_the_users_order)
{
    struct network n;

    network_begin(&n);
    put(&n, "flatten", put_conv(&n, put_input(&n, 3, 4, 5), 6, 2, 2));
    struct graph *g = lowered(&n, true);
    cr_assert_eq(g->predictions->order.c, 0);
    cr_assert_eq(g->predictions->producer->op, OP_reorder);
    network_end(&n);
}

Test(graph, joins_of_different_orders_are_reordered)
{
    struct network n;

    network_begin(&n);
    struct layer *in = put_input(&n, 2, 6, 4);
    struct layer *a = put(&n, "flatten", put_conv(&n, in, 3, 5, 1)),
                 *b = put(&n, "flatten", put_conv(&n, in, 2, 3, 2));
    cr_assert_eq(a->out.c, b->out.c);
    put_loss(&n, put_add(&n, a, b), 3);
    struct graph *g = trained(&n);
    cr_assert_eq(count_op(g, OP_reorder), 4); /* map to map takes two, and two back */
    cr_assert_eq(param_order(param_named(g, "dense_1.weight"), CNN_AXIS_IN).c, 3);
    network_end(&n);
}

Test(graph, a_flattened_map_is_spread_in_the_users_order)
{
    struct network n;

    network_begin(&n);
    struct layer *in = put_input(&n, 2, 6, 4),
                 *flat = put(&n, "flatten", put_pool(&n, in, "avgpool2d", 3, 2));
    struct layer *map = put_conv(&n, in, flat->out.c, 2, 2);
    put_loss(&n, put(&n, "global_avgpool2d", put_add(&n, flat, map)), 3);
    struct graph *g = trained(&n);
    cr_assert_eq(count_op(g, OP_reorder), 1); /* none back: nothing trainable lies behind it */
    cr_assert_eq(node_named(g, "add_1")->in[1]->order.c, 0);
    network_end(&n);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void expect_identifier(const char *name)
{
    static const char *const words[] = { "int", "for", "exp", "add", "main", "index" };

    cr_assert(isalpha((unsigned char)*name) || *name == '_', "%s", name);
    for (const char *c = name; *c; c++)
        cr_assert(isalnum((unsigned char)*c) || *c == '_', "%s", name);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        cr_assert_str_neq(name, words[i]);
}

Test(graph, names_are_identifiers_and_unique)
{
    static const char *const user[] = { "int",   "a.b",           "a_b",  "exp",
                                        "a.b_y", "conv2d_1_bias", "index" };
    struct network n;

    network_begin(&n);
    struct layer *l = put_input(&n, 2, 6, 4);
    for (size_t i = 0; i < sizeof user / sizeof *user; i++) {
        l = put_conv(&n, l, 2, 1, 1);
        l->name = user[i];
    }
    put_loss(&n, put(&n, "flatten", put_conv(&n, l, 2, 1, 1)), 3);
    struct graph *g = trained(&n);
    for (int i = 0; i < g->tensors_count; i++)
        expect_identifier(g->tensors[i]->name);
    for (int i = 0; i < g->nodes_count; i++) {
        expect_identifier(g->nodes[i]->name);
        cr_assert_eq(node_named(g, g->nodes[i]->name), g->nodes[i], "%s", g->nodes[i]->name);
        cr_assert_null(tensor_named(g, g->nodes[i]->name), "%s", g->nodes[i]->name);
    }
    for (int i = 0; i < g->tensors_count; i++)
        cr_assert_eq(tensor_named(g, g->tensors[i]->name), g->tensors[i], "%s",
                     g->tensors[i]->name);
    cr_assert_str_eq(g->params[2]->name, "a.b.weight");
    network_end(&n);
}

/* ---- dump ------------------------------------------------------------------------------------ */

Test(graph, dump_is_stable_and_counts)
{
    struct network n;
    char *text[2];
    size_t size;

    put_sample(&n);
    for (int i = 0; i < 2; i++) {
        FILE *out = open_memstream(&text[i], &size);
        graph_dump(trained(&n), out);
        fclose(out);
    }
    cr_assert_str_eq(text[0], text[1]);
    /* 2 * (4 * 3 * 3 * 2) * (6 * 8) */
    cr_assert(strstr(text[0],
                     "conv2d_1: conv2d(input 3x8x9, conv2d_1_w) window=3x2 -> conv2d_1_y 4x6x8  "
                     "[6912 flops]"),
              "%s", text[0]);
    cr_assert(strstr(text[0], "dense_1.weight 6x48 as (h, w, c) of 4x3x4"), "%s", text[0]);
    cr_assert(strstr(text[0], "dropout_1_grad: dropout_grad"), "%s", text[0]);
    free(text[0]);
    free(text[1]);
    network_end(&n);
}

/* ---- verify ---------------------------------------------------------------------------------- */

static void break_producer(struct graph *g)
{
    tensor_named(g, "conv2d_1_y")->producer = g->nodes[3];
}
static void break_no_producer(struct graph *g) { tensor_named(g, "add_1_y")->producer = NULL; }
static void break_consumer(struct graph *g) { tensor_named(g, "dropout_1_y")->consumers_count--; }
static void break_consumer_twice(struct graph *g)
{
    struct tensor *t = tensor_named(g, "dropout_1_y");
    t->consumers[1] = t->consumers[0];
}
static void break_order(struct graph *g)
{
    struct node *first = g->nodes[7], *second = g->nodes[8];            /* gelu_1, add_1 */
    g->nodes[7] = second;
    g->nodes[8] = first;
    second->id = 7;
    first->id = 8;
}
static void break_id(struct graph *g) { g->nodes[5]->id = 6; }
static void break_tensor_id(struct graph *g) { g->tensors[5]->id = 6; }
static void break_shape(struct graph *g) { tensor_named(g, "gelu_1_y")->shape.w++; }
static void break_empty_shape(struct graph *g) { tensor_named(g, "gelu_1_y")->shape.h = 0; }
static void break_window(struct graph *g) { node_named(g, "conv2d_1")->attr.window.stride_h = 2; }
static void break_padding(struct graph *g)
{
    node_named(g, "maxpool2d_1_grad")->attr.window.pad_top = 2;
}
static void break_filters(struct graph *g) { param_named(g, "conv2d_1.weight")->extents[1] = 2; }
static void break_gradient_shape(struct graph *g) 
{
    node_named(g, "gelu_1")->in[0]->gradient->shape.c++;
}
static void break_gradient_order(struct graph *g)
{
    tensor_named(g, "flatten_1_y")->gradient->order.c = 0;
}
static void break_dense_order(struct graph *g) { param_named(g, "dense_1.weight")->orders[1].h = 99; }
static void break_missing_gradient(struct graph *g)
{
    param_named(g, "dense_1.weight")->gradient = NULL;
}
static void break_other_gradient(struct graph *g)
{
    param_named(g, "dense_1.bias")->gradient = param_named(g, "dense_2.bias")->gradient;
}
static void break_fixed_gradient(struct graph *g)
{
    param_named(g, "conv2d_1.weight")->trainable = false;
}
static void break_mask(struct graph *g) { node_named(g, "dropout_1_grad")->attr.stream++; }
static void break_rate(struct graph *g) { node_named(g, "dropout_1")->attr.rate = 1; }
static void break_attribute_of_none(struct graph *g) { node_named(g, "add_1")->attr.rate = 0.5; }
static void break_attribute_of_gradient(struct graph *g)
{
    node_named(g, "conv2d_1_relu_grad")->attr.activation = activation_row(ACT_relu6);
}
static void break_epsilon(struct graph *g) { node_named(g, "batchnorm_1_moments")->attr.epsilon = 0; }
static void break_activation_input(struct graph *g)
{
    struct node *n = node_named(g, "dense_1_elu_grad");
    n->attr.activation = n->forward->attr.activation = activation_row(ACT_gelu);
}
static void break_index(struct graph *g)
{
    node_named(g, "maxpool2d_1")->out[1]->element = ELEMENT_REAL;
}
static void break_index_missing(struct graph *g) { node_named(g, "maxpool2d_1")->out_count = 1; }
static void break_moments(struct graph *g)
{
    struct node *n = node_named(g, "batchnorm_1");
    struct tensor *mean = n->in[3];
    n->in[3] = n->in[1];
    n->in[1] = mean;
}
static void break_bias(struct graph *g) { param_named(g, "conv2d_1.bias")->tensor->shape.c = 3; }
static void break_add(struct graph *g) { node_named(g, "add_1")->in_count = 1; }
static void break_loss(struct graph *g) { g->loss = NULL; }
static void break_logits(struct graph *g) { g->logits = g->predictions; }
static void break_backward(struct graph *g) { node_named(g, "dense_2")->backward = true; }
static void break_forward(struct graph *g)
{
    node_named(g, "dense_1_weight_grad")->forward = node_named(g, "dense_2");
}
static void break_view(struct graph *g)
{
    node_named(g, "flatten_1")->out[0]->order = (struct map_order){ 0, 0, 0 };
}
static void break_role(struct graph *g) { tensor_named(g, "gelu_1_y")->role = TENSOR_INPUT; }
static void break_undifferentiated(struct graph *g) { g->differentiated = false; }

/* ---- attributes ------------------------------------------------------------------------------ */

/* Every attribute alone: taken over, compared and written where the set has it, and nowhere else. */
Test(graph, attributes_are_those_of_their_set)
{
    static const struct clause_def loss_def = { .name = "distance" };
    static const struct clause loss = { .def = &loss_def };
    static const double list[] = { 1, 0.5 };
    static struct arg_value values[] = { { .list = list, .list_length = 2 } };
    static const struct clause weights = { .args = values };
    const struct attributes all = {
        .window = { 3, 2, 2, 1, 1, 1, 1, 0, 0, 1 }, .activation = activation_row(ACT_elu), .alpha = 0.5, .rate = 0.25,
        .stream = 4,
        .momentum = 0.9, .unbiased = 1, .factor = 2, .epsilon = 1e-3, .loss = &loss, .smoothing = 0.1,
        .class_weights = &weights,
        .bilinear = 1, .channel = 7, .by_channel = 1, .ghost = 6, .groups = 3, .size = 5, .power = 0.75, .offset = 2,
    };
    static const struct attributes none;
    struct arena arena = { 0 };

    cr_assert_str_eq(attributes_text(&arena, &all, (1u << ATTRIBUTES) - 1),
                     " window=3x2 stride=2x1 padding=1+0,0+1 elu(0.5) rate=0.25 stream=4 by_channel momentum=0.9 unbiased ghost=6 groups=3 factor=2 "
                     "size=5 power=0.75 offset=2 epsilon=0.001 distance smoothing=0.1 class_weights=1,0.5 bilinear channel=7");
    cr_assert_str_eq(attributes_text(&arena, &all, HAS_none), "");
    cr_assert_null(attributes_fault(&all, (1u << ATTRIBUTES) - 1));
    for (int i = 0; i < ATTRIBUTES; i++) {
        unsigned set = 1u << i;
        struct attributes one = attributes_of(&all, set);
        cr_assert(attributes_equal(&one, &all, set), "attribute %d is not taken over", i);
        cr_assert(attributes_equal(&one, &none, ~set), "others come along with attribute %d", i);
        cr_assert_not(attributes_equal(&one, &none, set), "attribute %d is not compared", i);
        cr_assert_null(attributes_fault(&one, set));
        cr_assert_not_null(attributes_fault(&one, HAS_none), "attribute %d may stand anywhere", i);
    }
    arena_free(&arena);
}

Test(graph, verify_finds_what_is_broken)
{
    static void (*const breaks[])(struct graph * g) = { break_producer,
                                                        break_no_producer,
                                                        break_consumer,
                                                        break_consumer_twice,
                                                        break_order,
                                                        break_id,
                                                        break_tensor_id,
                                                        break_shape,
                                                        break_empty_shape,
                                                        break_window,
                                                        break_padding,
                                                        break_filters,
                                                        break_gradient_shape,
                                                        break_gradient_order,
                                                        break_dense_order,
                                                        break_missing_gradient,
                                                        break_other_gradient,
                                                        break_fixed_gradient,
                                                        break_mask,
                                                        break_rate,
                                                        break_attribute_of_none,
                                                        break_attribute_of_gradient,
                                                        break_epsilon,
                                                        break_activation_input,
                                                        break_index,
                                                        break_index_missing,
                                                        break_moments,
                                                        break_bias,
                                                        break_add,
                                                        break_loss,
                                                        break_logits,
                                                        break_backward,
                                                        break_forward,
                                                        break_view,
                                                        break_role,
                                                        break_undifferentiated };

    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        struct network n;
        put_sample(&n);
        struct graph *g = trained(&n);
        breaks[i](g);
        cr_assert_not_null(graph_verify(g), "break number %d was not found", (int)i + 1);
        network_end(&n);
    }
}
