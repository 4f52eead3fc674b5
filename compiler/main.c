/* main.c - cnnc: parse -> check -> lower -> differentiate -> plan -> emit. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "emit/emit_inference.h"
#include "format_files.h"
#include "graph/graph.h"
#include "passes/passes.h"
#include "options.h"
#include "base/output.h"
#include "emit/emit.h"
#include "syntax/parse.h"
#include "steps/plan.h"
#include "common/printable.h"
#include "show/picture.h"
#include "show/summary.h"
#include "tune.h"
#include "plan/wisdom.h"

/* One arena for each lifetime: the tree is gone once the model stands, but its text and messages
 * stay to the end. */
struct compilation {
    const struct options *options;
    struct arena text, graphs, plans;
    struct inputs inputs;
    struct diag *diag;
};

#ifdef CNNC_VERIFY
static void verify(const char *what, const char *broken)
{
    if (!broken)
        return;
    rt_print_line(stderr, "cnnc: internal error: %s: %s", what, broken);
    abort();
}
#define VERIFY(what, broken) verify(what, broken)
#else
#define VERIFY(what, broken) ((void)0)
#endif

/* -D name=value becomes a source of one line, so that what is wrong in it is shown like everything
 * else. */
static struct ast_body **parse_defines(struct compilation *c)
{
    const struct options *o = c->options;
    struct ast_body **bodies = arena_array(&c->text, (size_t)o->defines_count + 1,
                                           sizeof(struct ast_body *));

    for (int i = 0; i < o->defines_count; i++) {
        const char *line = arena_printf(&c->text, "const %s", o->defines[i]);
        const char *path = arena_printf(&c->text, "-D %s", o->defines[i]);
        bodies[i] = parse_source(&c->text, source_from_text(&c->text, path, line, strlen(line)),
                                 c->diag);
    }
    return bodies;
}

/* Whether the network with its weights is asked for: then graph and plan are those of inference. */
static bool has_weights(const struct options *o)
{
    return o->inference && o->weights;
}

static bool dumps(const struct options *o, int stage)
{
    return o->dump == stage && !has_weights(o);
}

/* What the options ask for beyond the check: the stages are run as far as one of them needs. */
static bool needs_plan(const struct options *o, const struct model *m)
{
    return (o->output && !o->inference) || dumps(o, STAGE_PLAN) || o->tune ||
           (o->summary && m->loss && m->has_data);
}

static bool needs_graph(const struct options *o, const struct model *m)
{
    return needs_plan(o, m) || dumps(o, STAGE_GRAPH);
}

static int finish(struct compilation *c, int status)
{
    fflush(stdout);             /* so that messages come behind what was printed, also in one file */
    diag_print(c->diag, stderr);
    if (diag_errors(c->diag))
        status = EXIT_FAILED;
    if (fflush(stdout) || ferror(stdout)) {
        rt_print_line(stderr, "cnnc: cannot write to standard output: %s", strerror(errno));
        status = EXIT_FAILED;
    }
    return status;
}

/* What the written network takes, for whoever has to find room for it. */
static void sizes_print(const struct options *o, const struct inference *net)
{
    struct infer_sizes s = inference_sizes(net);

    rt_print(stdout, "%s, besides its code:\n", o->output);
    printf("  flash          %10" PRId64 " bytes of constants\n", s.constants);
    printf("  RAM            %10" PRId64 " bytes of scratch memory%s\n", s.arena,
           o->caller_arena ? ", the caller's" : "");
    printf("                 %10" PRId64 " bytes of input and output, the caller's\n", s.ends);
    printf("  multiply-adds  %10" PRId64 " a picture\n", s.multiply_adds);
}

/* The graph of use as a function by itself, with trained weights. */
static struct graph *trained_graph(struct compilation *c, const struct model *m, const struct weights *w)
{
    struct graph *g = lower_alone(&c->graphs, m);

    weights_settle(g, w);
    return g;
}

/* The other way out: the network with trained weights, as portable C. */
static int compile_inference(struct compilation *c, const struct model *m)
{
    const struct options *o = c->options;
    struct graph *plain = lower_alone(&c->graphs, m);
    VERIFY("graph of use", graph_verify(plain));
    const struct weights *weights = weights_read(&c->plans, o->weights, plain, c->diag);
    if (!weights)
        return EXIT_FAILED;
    weights_settle(plain, weights);
    struct graph *use = trained_graph(c, m, weights);
    simplify(use);
    VERIFY("simplified graph of use", graph_verify(use));
    if (o->extern_weights)
        inference_publish(use, o->name ? o->name : m->name);
    struct plan *plan = plan_model(&c->plans, NULL, use, &(struct plan_options){.target = "portable", .name = o->name},
                                   c->diag);
    if (!plan)
        return EXIT_FAILED;
    VERIFY("plan", plan_verify(plan));
    struct inference_options options = {.name = o->name,
                                        .weights_path = o->weights,
                                        .extern_weights = o->extern_weights,
                                        .caller_arena = o->caller_arena,
                                        .averages = o->tta};
    struct inference *net = inference_of(&c->plans, plain, plan, weights, &options, c->diag);
    if (!net)
        return EXIT_FAILED;
    if (o->dump == STAGE_GRAPH)
        graph_dump(use, stdout);
    if (o->dump == STAGE_PLAN)
        plan_dump(plan, stdout);
    inputs_add(&c->inputs, o->weights, "the weights");
    if (!o->output)
        return EXIT_FINE;
    int status = emit_inference(&c->plans, o->output, net, o->depfile, &c->inputs);
    if (status == EXIT_FINE)
        sizes_print(o, net);
    return status;
}

/* What the command line says, or else the recipe. */
static enum real precision_of(const struct options *o, const struct model *m)
{
    return o->real != REAL_RECIPE ? (enum real)o->real : m->bf16 ? REAL_BF16 : REAL_FLOAT;
}

/* Measures first where that is asked for.  False: reported. */
static bool consult_wisdom(struct compilation *c, const struct graph *train, const struct graph *use,
                           struct plan_options *options)
{
    const struct options *o = c->options;
    const struct model *m = use->model;
    const char *path = o->wisdom ? o->wisdom : wisdom_cache_path(&c->plans);
    int threads = o->threads ? (int)o->threads : m->threads;

    if (!path)
        return false;
    if (o->tune) {
        struct tune_options tuning = {.path = path, .in_cache = !o->wisdom, .threads = threads,
                                      .makefile = options_makefile(&c->plans)};
        threads = tune_kernels(&c->plans, train, use, options, &tuning, c->diag);
        if (!threads)
            return false;
    }
    struct wisdom *w = wisdom_read(&c->plans, path, false);
    if (!w)
        return false;
    inputs_add(&c->inputs, path, "the wisdom");
    if (wisdom_use(w, target_find(options_target(o))->name, plan_precision(options), threads))
        options->wisdom = w;
    else
        rt_print_line(stderr,
                      "cnnc: warning: %s holds nothing for this version, target and type%s; kernels are chosen by "
                      "their estimates", path, threads ? " and so many threads" : "");
    return true;
}

static void draw(struct compilation *c, const struct model *m)
{
    if (c->options->graph == GRAPH_DOT)
        picture_dot(m, stdout);
    else if (!picture_svg(m, stdout))
        diag_error(c->diag, DIAG_too_big, (struct span){0},
                   "more than %d results of this network go on side by side, which "
                   "no picture can show; --graph=dot tells them to Graphviz", LANES_MOST);
}

static int compile_model(struct compilation *c, const struct model *m)
{
    const struct options *o = c->options;
    struct graph *train = NULL, *use = NULL;
    struct plan *plan = NULL;

    if (needs_graph(o, m)) {
        use = lower_model(&c->graphs, m, false);
        simplify(use);
        VERIFY("graph of use", graph_verify(use));
        if (m->loss) {
            train = lower_model(&c->graphs, m, true);
            simplify(train);
            VERIFY("forward graph", graph_verify(train));
            differentiate(train);
            VERIFY("graph of training", graph_verify(train));
        }
    }
    if (dumps(o, STAGE_GRAPH)) {
        if (train)
            graph_dump(train, stdout);
        graph_dump(use, stdout);
    }
    if (needs_plan(o, m)) {
        struct plan_options options = {.target = options_target(o),
                                       .name = o->name,
                                       .real_double = precision_of(o, m) == REAL_DOUBLE,
                                       .bf16 = precision_of(o, m) == REAL_BF16,
                                       .exact = o->exact,
                                       .error_growth = o->error_growth,
                                       .forced = o->forced,
                                       .forced_count = o->forced_count};
        if (train) {
            plan_norms(train);
            VERIFY("graph of training", graph_verify(train));
        }
        if (o->uses_wisdom && !consult_wisdom(c, train, use, &options))
            return EXIT_FAILED;
        if (train) {
            plan_again(&c->plans, train, &options);
            VERIFY("graph of training", graph_verify(train));
        }
        plan = plan_model(&c->plans, train, use, &options, c->diag);
        if (!plan || diag_errors(c->diag))
            return EXIT_FAILED;
        if (options.wisdom && plan->choices && !plan->informed)
            rt_print_line(stderr,
                          "cnnc: warning: %s holds nothing for the layers of %s, batch %d; kernels are chosen by "
                          "their estimates", options.wisdom->path, m->name, plan->batch);
        VERIFY("plan", plan_verify(plan));
    }
    if (dumps(o, STAGE_PLAN))
        plan_dump(plan, stdout);
    if (dumps(o, STAGE_PLAN) && o->threads)
        plan_dump_shares(plan, (int)o->threads, stdout);
    if (o->summary) {
        const struct summary_options how = {.by_blocks = o->summary == 2, .real_double = precision_of(o,
                m) == REAL_DOUBLE};
        (o->json ? summary_print_json : summary_print)(m, plan, &how, stdout);
    }
    if (o->graph)
        draw(c, m);
    if (has_weights(o))
        return compile_inference(c, m);
    return o->output ? emit_files(&c->plans, o->output, plan, o->depfile, &c->inputs) : EXIT_FINE;
}

static int compile_source(struct compilation *c, const struct source *source)
{
    const struct options *o = c->options;
    struct ast_body *file = parse_source(&c->text, source, c->diag);
    struct check_options check = {.defines = parse_defines(c),
                                  .defines_count = o->defines_count,
                                  .include_dirs = o->include_dirs,
                                  .include_dirs_count = o->include_dirs_count,
                                  .batch = (int)o->batch,
                                  .share = (int)o->share,
                                  .whole = (o->output && !o->inference) ||
                                           dumps(o, STAGE_PLAN) || o->tune};

    if (o->dump == STAGE_AST)
        ast_dump(file, stdout);
    const struct model *m = check_model(&c->text, source, file, &check, c->diag);
    if (diag_errors(c->diag))
        return EXIT_FAILED;
    for (int i = 0; i < m->included_count; i++)
        inputs_add(&c->inputs, m->included[i]->path, "a file that the model includes");
    if (o->dump == STAGE_MODEL)
        model_dump(m, stdout);
    if (o->explain)
        fputs(m->explained, stdout);
    return compile_model(c, m);
}

static int print_makefile(struct arena *a)
{
    const char *path = options_makefile(a);

    if (!options_makefile_fits(path))
        return EXIT_FAILED;
    puts(path);
    return EXIT_FINE;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct arena command = {0};
    struct compilation c = {.options = &options};
    int status = options_parse(&command, argc, argv, &options);

    if (status >= 0) {
        arena_free(&command);
        return status;
    }
    signal(SIGXFSZ, SIG_IGN);   /* a file that may not grow is an error of writing, with a message */
    if (options.format) {
        status = format_files(&options);
        arena_free(&command);
        return status;
    }
    c.diag = diag_new(&c.text);
    c.inputs.arena = &c.text;
    status = options.print_makefile ? print_makefile(&command) : EXIT_FINE;
    if (options.input && status == EXIT_FINE) {
        const struct source *source = source_read(&c.text, options.input);
        if (source) {
            inputs_add(&c.inputs, options.input, "the model");
            status = compile_source(&c, source);
        } else {
            diag_error(c.diag, DIAG_cannot_read, (struct span){0}, "cannot read %s: %s",
                       options.input, source_problem(errno));
        }
    }
    status = finish(&c, status);
    arena_free(&c.plans);
    arena_free(&c.graphs);
    arena_free(&c.text);
    arena_free(&command);
    return status;
}
