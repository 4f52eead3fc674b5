/* inference_sizes.c - what a network takes where it runs, as far as it is known before it is compiled. */
#include "emit/inference.h"

int64_t infer_step_multiply_adds(const struct infer_step *s)
{
    int64_t positions = (int64_t)s->out_shape.h * s->out_shape.w;

    switch (s->kind) {
    case INFER_CONV2D:
    case INFER_LOCAL2D:
        return positions * s->out_shape.c * s->window.kh * s->window.kw * s->in_shape.c;
    case INFER_DENSE:
        return (int64_t)s->in_shape.c * s->out_shape.c;
    default:
        return 0;
    }
}

bool infer_pixels_same(const struct inference *net, const double *list)
{
    for (int i = 1; i < net->graph->input->shape.c; i++)
        if (list[i] != list[0])
            return false;
    return true;
}

struct infer_sizes inference_sizes(const struct inference *net)
{
    const struct infer_pixels *p = &net->pixels;
    struct infer_sizes sizes = {0};
    int64_t constants = 0;

    for (int i = 0; i < net->steps_count; i++) {
        const struct infer_step *s = net->steps[i];
        constants += (s->weights ? s->weights_count : 0) + (s->biases ? s->biases_count : 0);
        sizes.multiply_adds += infer_step_multiply_adds(s);
    }
    if (p->known && !infer_pixels_same(net, p->scale))
        constants += net->graph->input->shape.c;
    if (p->known && !infer_pixels_same(net, p->shift))
        constants += net->graph->input->shape.c;
    sizes.constants = constants * (int64_t)sizeof(float);
    sizes.arena = net->arena_floats * (int64_t)sizeof(float);
    sizes.ends = (net->inputs + net->outputs) * (int64_t)sizeof(float);
    return sizes;
}
