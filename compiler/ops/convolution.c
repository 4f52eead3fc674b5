/* convolution.c - see convolution.h. */
#include "ops/convolution.h"

bool convolution_fits(struct layer *l, struct diag *d)
{
    return window_fits(l, d, "kernel") && init_check(l, d, "init") && init_check(l, d, "bias_init");
}

int64_t kernel_taps(const struct layer *l)
{
    const int64_t *kernel = clause_arg(l->clause, "kernel")->dims;

    return kernel[0] * kernel[1];
}

int64_t groups_of(const struct layer *l)
{
    return clause_int(l->clause, "groups");
}

bool groups_fit(struct layer *l, struct diag *d)
{
    int64_t groups = groups_of(l), filters = clause_int(l->clause, "filters");

    if (l->in.c % groups) {
        diag_error(d, DIAG_bad_groups, arg_span(l, "groups"),
                   "'%s' cannot cut the %d channels of its input into %lld equal groups", l->clause->def->name, l->in.c,
                   (long long)groups);
        note_input(d, l);
    } else if (filters % groups) {
        diag_error(d, DIAG_bad_groups, arg_span(l, "groups"), "'%s' cannot make its %lld filters in %lld equal groups",
                   l->clause->def->name, (long long)filters, (long long)groups);
    } else {
        return true;
    }
    return false;
}

bool depthwise_shape(struct layer *l, struct diag *d, struct shape *result)
{
    if (!layer_needs_map(l, d) || !convolution_fits(l, d))
        return false;
    struct axis y = layer_axis(l, "kernel", 0), x = layer_axis(l, "kernel", 1);
    int64_t channels = l->in.c * clause_int(l->clause, "multiplier");
    if (!param_fits(l, d, arg_span(l, "multiplier"), channels, 1, y.size, x.size) ||
        !layer_set_out(l, d, arg_span(l, "multiplier"), channels, y.out, x.out, false))
        return false;
    *result = l->out;
    return true;
}

int64_t depthwise_weights(const struct layer *l)
{
    return l->in.c * clause_int(l->clause, "multiplier") * kernel_taps(l);
}
