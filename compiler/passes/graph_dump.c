/* graph_dump.c - a graph as text, for --dump=graph. */
#include "passes/passes.h"

#include <inttypes.h>
#include <math.h>

#include "ops/ops.h"

static void dump_count(FILE *out, int64_t n)
{
    if (n >= 1000000)
        fprintf(out, "%.2f M", (double)n / 1e6);
    else if (n >= 10000)
        fprintf(out, "%.1f k", (double)n / 1e3);
    else
        fprintf(out, "%lld", (long long)n);
}

static void dump_init(FILE *out, struct cnn_init init)
{
    static const char *const names[] = {
        "zeros", "ones", "constant", "uniform", "normal", "truncated_normal", "orthogonal", "dirac",
        "whiten"
    };

    fprintf(out, "%s", names[init.kind]);
    if (init.kind == CNN_INIT_CONSTANT)
        fprintf(out, "(%.9g)", init.a);
    else if (init.kind == CNN_INIT_DIRAC)
        fprintf(out, "(%s)", names[init.rest]);
    else if (init.kind == CNN_INIT_UNIFORM || init.kind == CNN_INIT_NORMAL || init.kind == CNN_INIT_WHITEN)
        fprintf(out, "(%.9g, %.9g)", init.a, init.b);
    else if (init.kind == CNN_INIT_TRUNCATED_NORMAL)
        fprintf(out, "(%.9g)", init.b);
}

static void dump_order(FILE *out, struct map_order order)
{
    if (order.c)
        fprintf(out, " as (h, w, c) of %dx%dx%d", order.c, order.h, order.w);
}

static void dump_param(const struct graph *g, FILE *out, const struct param *p)
{
    fprintf(out, "    %s %s", p->name, param_shape_text(g->arena, p, "x"));
    dump_order(out, param_order(p, CNN_AXIS_OUT));
    dump_order(out, param_order(p, CNN_AXIS_IN));
    fprintf(out, ", ");
    dump_init(out, p->init);
    fprintf(out, "%s\n", p->role == CNN_STATISTIC ? ", statistic" : p->trainable ? "" : ", fixed");
}

static void dump_tensor(FILE *out, const struct tensor *t)
{
    if (!t) {
        fputs("-", out);
        return;
    }
    fputs(t->name, out);
    if (t->param)
        return;
    if (t->role == TENSOR_LABELS || t->role == TENSOR_LOSS)
        fputs(" 1", out);
    else
        fprintf(out, " %s", shape_text(t->shape).text);
    if (t->element == ELEMENT_U8)
        fputs(" u8", out);
    dump_order(out, t->order);
    if (t->planes)
        fputs(" as (c, h, w)", out);
}

static void dump_node(const struct graph *g, FILE *out, const struct node *n)
{
    int64_t flops = op_def_get(n->op)->flops(n);

    fprintf(out, "    %s: %s(", n->name, op_name(n->op));
    for (int i = 0; i < n->in_count; i++) {
        fputs(i ? ", " : "", out);
        dump_tensor(out, n->in[i]);
    }
    fprintf(out, ")%s -> ", attributes_text(g->arena, &n->attr, op_attributes(n->op)));
    for (int i = 0; i < n->out_count; i++) {
        fputs(i ? ", " : "", out);
        dump_tensor(out, n->out[i]);
    }
    if (flops) {
        fputs("  [", out);
        dump_count(out, flops);
        fputs(" flops]", out);
    }
    fputc('\n', out);
}

static void dump_nodes(const struct graph *g, FILE *out, bool backward)
{
    int64_t flops = 0;
    int count = 0;

    for (int i = 0; i < g->nodes_count; i++)
        if (g->nodes[i]->backward == backward) {
            flops += op_def_get(g->nodes[i]->op)->flops(g->nodes[i]);
            count++;
        }
    if (!count)
        return;
    fprintf(out, "%s: %d operation%s, ", backward ? "backward" : "forward", count,
            count == 1 ? "" : "s");
    dump_count(out, flops);
    fputs(" flops a sample\n", out);
    for (int i = 0; i < g->nodes_count; i++)
        if (g->nodes[i]->backward == backward)
            dump_node(g, out, g->nodes[i]);
}

void graph_dump(const struct graph *g, FILE *out)
{
    int64_t parameters = 0;

    for (int i = 0; i < g->params_count; i++)
        parameters += param_elements(g->params[i]);
    fprintf(out, "graph of %s, %s\n", g->model->name, g->training ? "training" : "use");
    fprintf(out, "parameters: %lld\n", (long long)parameters);
    for (int i = 0; i < g->params_count; i++)
        dump_param(g, out, g->params[i]);
    dump_nodes(g, out, false);
    dump_nodes(g, out, true);
}
