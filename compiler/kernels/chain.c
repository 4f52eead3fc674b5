/* chain.c - elementwise operations one after the other, applied to vectors in registers.
 *
 * A chain is what stands between a product and its store, or in one pass over memory.  What its operations are is in
 * chain_links.c. */
#include <assert.h>
#include <inttypes.h>

#include "kernels/chain_parts.h"

/* ---- the nodes of a group in the order of application ----------------------------------------------------------- */

static bool main_is_link(const struct group *g)
{
    return link_find(g->main->op) != NULL;
}

static int sequence_count(const struct group *g)
{
    return g->chain_count + (main_is_link(g) ? 1 : 0);
}

static const struct node *sequence_node(const struct group *g, int k)
{
    int first = main_is_link(g) ? 1 : 0;
    return k < first ? g->main : g->chain[k - first];
}

/* The input of node k that is the value so far. */
static int sequence_value(const struct group *g, int k)
{
    const struct node *n = sequence_node(g, k);
    if (n == g->main)
        return link_find(n->op)->value_input;
    const struct tensor *before = k ? sequence_node(g, k - 1)->out[0] : g->main->out[0];
    int value = chain_input(n, before);
    assert(value >= 0);
    return value;
}

/* ---- what kernel.h promises ------------------------------------------------------------------------------------- */

bool operand_is_column(const struct operand *o)
{
    return o->kind == OPERAND_COLUMN || o->kind == OPERAND_COLUMN_OF_MORE || o->kind == OPERAND_COLUMN_SAMPLE ||
        o->kind == OPERAND_INDEX_CHANNEL;
}

bool chain_accepts(const struct node *n, int *value_input)
{
    const struct link *link = link_find(n->op);
    if (link)
        *value_input = link->value_input;
    return link != NULL;
}

int chain_input(const struct node *n, const struct tensor *t)
{
    const struct link *link = link_find(n->op);
    if (!link)
        return -1;
    const struct tensor *base = tensor_base(t);
    bool commutes = n->op == OP_add || n->op == OP_sum || n->op == OP_multiply;
    if (n->op == OP_multiply && tensor_base(n->in[0]) == tensor_base(n->in[1]))
        return -1;              /* x * x: the text of the value would stand there twice */
    if (tensor_base(n->in[link->value_input]) == base)
        return link->value_input;
    if (commutes && tensor_base(n->in[1]) == base && !link_is_spread(n->in[0], n->in[1]))
        return 1;
    return -1;
}

void chain_make(const struct plan *p, const struct group *g, struct chain *c)
{
    c->group = g;
    c->together = g->together && g->program->places[g->result->id].together;
    c->operands_count = 0;
    for (int k = 0; k < sequence_count(g); k++) {
        const struct node *n = sequence_node(g, k);
        int first = c->operands_count;
        link_find(n->op)->operands(p, n, sequence_value(g, k), c);
        for (int i = first; i < c->operands_count; i++)
            c->operands[i].node = k;
    }
    int first = c->operands_count;
    if (g->sums)
        chain_sums_operands(p, g, c);
    for (int i = first; i < c->operands_count; i++)
        c->operands[i].node = sequence_count(g);        /* no link reads them */
}

bool chain_is_by_channel(const struct plan *p, const struct group *g)
{
    struct chain c;
    chain_make(p, g, &c);
    for (int i = 0; i < c.operands_count; i++)
        if (c.operands[i].kind == OPERAND_ELEMENT || c.operands[i].kind == OPERAND_INDEX)
            return false;
    return true;
}

bool chain_is_by_sample(const struct plan *p, const struct group *g)
{
    struct chain c;
    chain_make(p, g, &c);
    for (int i = 0; i < c.operands_count; i++)
        if (c.operands[i].kind == OPERAND_COLUMN_SAMPLE || c.operands[i].kind == OPERAND_INDEX_CHANNEL)
            return true;
    return false;
}

void step_takes_chain(struct plan *p, struct step *s)
{
    struct chain c;
    chain_make(p, s->group, &c);
    for (int i = 0; i < c.operands_count; i++) {
        const struct operand *o = &c.operands[i];
        if (o->kind == OPERAND_SUMS)
            step_uses_row(p, s, ACCESS_WRITE, s->group->sums_rows, AT_IMAGE, o->number);
        else if (o->tensor)
            step_takes(p, s, ACCESS_READ, o->tensor);
        else
            step_is_given(p, s, o->argument, o->number);
    }
}

const char *chain_parameters(struct emitter *e, const struct chain *c)
{
    const char *text = "";
    for (int i = 0; i < c->operands_count; i++)
        text = text_printf(e, "%s, %s%s", text, c->operands[i].type, c->operands[i].name);
    return text;
}

const char *chain_pass(struct emitter *e, const struct chain *c, const char *col, const char *at)
{
    const char *text = "";
    for (int i = 0; i < c->operands_count; i++) {
        const struct operand *o = &c->operands[i];
        const char *offset = at;
        if (operand_is_column(o))
            offset = col;
        if (o->kind == OPERAND_SCALAR)
            offset = "0";
        if (o->kind == OPERAND_SUMS)
            offset = text_twice(e, col);
        text = text_printf(e, "%s, %s", text, text_plus(e, o->name, offset));
    }
    return text;
}

/* The operand as the link reads it. */
static const char *operand_load(struct emitter *e, const struct operand *o, bool together, const char *col,
                                const char *at, int tail)
{
    switch (o->kind) {
    case OPERAND_COLUMN:                /* padded to whole vectors */
        if (together)
            return text_printf(e, "v_broadcast(%s)", text_plus(e, o->name, col));
        return text_load(e, o->name, col, 0);
    case OPERAND_COLUMN_OF_MORE:
        return text_load(e, o->name, text_plus(e, text_printf(e, "%" PRId64, o->number), col), tail);
    case OPERAND_COLUMN_SAMPLE:
        return text_load(e, o->name, col, tail);
    case OPERAND_ELEMENT:
        return text_load(e, o->name, at, tail);
    case OPERAND_INDEX_CHANNEL:
        return text_plus(e, o->name, col);
    case OPERAND_INDEX:
        return text_plus(e, o->name, at);
    case OPERAND_SCALAR: case OPERAND_SUMS:
        break;
    }
    return o->name;
}

const char *chain_apply_at(struct emitter *e, const struct chain *c, const char *value, const char *col, const char *at,
                           int tail)
{
    int next = 0;
    for (int k = 0; k < sequence_count(c->group); k++) {
        struct link_text t = { .e = e, .node = sequence_node(c->group, k) };
        for (; next < c->operands_count && c->operands[next].node == k; next++) {
            assert(t.count < OPERANDS_OF_NODE);
            t.loads[t.count++] = operand_load(e, &c->operands[next], c->together, col, at, tail);
        }
        value = link_find(t.node->op)->apply(&t, value);
    }
    return value;
}

/* ---- plain C ----------------------------------------------------------------------------------------------------- */

int chain_operations(const struct chain *c)
{
    return sequence_count(c->group);
}

bool chain_has_columns(const struct chain *c)
{
    for (int i = 0; i < c->operands_count; i++)
        if (operand_is_column(&c->operands[i]))
            return true;
    return false;
}

/* x + x adds nothing that is known before. */
int chain_leading_sums(const struct chain *c)
{
    int sums = 0, next = 0;
    for (; sums < chain_operations(c); sums++) {
        if (!link_is_sum(link_find(sequence_node(c->group, sums)->op)))
            break;
        if (next == c->operands_count || c->operands[next++].node != sums)
            break;
    }
    return sums;
}

const char *chain_apply_plain(struct emitter *e, const struct chain *c, int from, int to, const char *value,
                              const char *channel, const char *element)
{
    for (int k = from; k < to; k++) {
        struct link_text t = { .e = e, .node = sequence_node(c->group, k) };
        for (int i = 0; i < c->operands_count; i++) {
            const struct operand *o = &c->operands[i];
            if (o->node == k)
                t.loads[t.count++] =
                    text_printf(e, "%s[%s]", o->name, o->kind == OPERAND_ELEMENT ? element : channel);
        }
        value = link_find(t.node->op)->plain(&t, value);
    }
    return value;
}

const char *chain_apply(struct emitter *e, const struct chain *c, const char *value, int64_t col, int64_t at, int tail)
{
    return chain_apply_at(e, c, value, text_printf(e, "%" PRId64, col), text_printf(e, "%" PRId64, at), tail);
}

const char *chain_suffix(struct emitter *e, const struct chain *c)
{
    const char *text = "";
    for (int k = 0; k < sequence_count(c->group); k++) {
        const struct node *n = sequence_node(c->group, k);
        const char *name = op_name(n->op), *grad = "";
        if (n->op == OP_activation || n->op == OP_activation_grad) {
            name = activation_word(n->attr.activation);
            grad = n->op == OP_activation_grad ? "_grad" : "";
        }
        text = text_printf(e, "%s_%s%s", text, name, grad);
    }
    return c->group->sums ? text_printf(e, "%s_sums", text) : text;
}

double chain_cycles(const struct plan *p, const struct group *g)
{
    double cycles = 0;
    for (int k = 0; k < sequence_count(g); k++) {
        const struct node *n = sequence_node(g, k);
        cycles += link_find(n->op)->cycles(p, n);
    }
    return cycles;
}

double group_chain_cycles(const struct plan *p, const struct group *g)
{
    if (!g->chain_count)
        return 0;
    return chain_cycles(p, g) * (double)shape_elements(g->result->shape) * p->batch / p->lanes;
}
