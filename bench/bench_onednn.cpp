/* bench_onednn.cpp - the notebook's network by hand on oneDNN (release 2 or 3), as fast as we know how to make it.
 *
 *     bench_onednn relu|elu [option=value]... WEIGHTS IMAGES LABELS BATCHES
 *     bench_onednn relu|elu [option=value]... cifar10 DIR STEPS
 *
 * The first form is a contender (see worker.h): steps N, infer N (one picture), outputs (the first
 * picture's probabilities), losses N, profile N, plan. The second reads the whole of CIFAR-10,
 * trains STEPS steps on its first pictures and prints "step,loss" lines: what a program that only
 * links oneDNN needs in memory and until its first step.
 *
 * Options: layout=blocked|nhwc (what convolutions get: the library's own choice, or channels
 * innermost), dropout=X (0.5), pool_first=0|1 (pool before a monotone activation), lr=X (0.001),
 * threads=N, tune=0|1 (time formats, or take the library's).
 *
 * What is done for speed: every tensor in the format its primitives ask for, reorders only where
 * two of them ask for different ones; bias and activation as post-operations; gradients of
 * activations in place, from the results; weights kept in the format of the forward pass; for the
 * data and weight gradients the formats at hand and those the library would choose (with reorders)
 * are both timed when the network is built, and the faster stays; one block of memory for
 * parameters, in huge pages, and one loop for Adam; subnormal numbers count as zero.
 */
#include <omp.h>
#include <sys/mman.h>
#if defined __SSE2__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "onednn_api.h"
#include "worker.h"

using namespace dnnl;
using tag = memory::format_tag;
using dims = memory::dims;
static const auto f32 = memory::data_type::f32;
enum { BATCH = 32, CLASSES = 10 };

struct settings {
    bool elu = false, nhwc = false, pool_first = true, tune = true;
    float dropout = 0.5f;
    double lr = 1e-3;
    int threads = 2;
};

/* ---- memory ---------------------------------------------------------------------------------- */

/* Zeroed, aligned to huge pages where it is large; lives as long as the program. */
static float *zeros(size_t bytes)
{
    size_t page = bytes >= (size_t)1 << 21 ? (size_t)1 << 21 : 64;
    size_t size = (bytes + page - 1) / page * page;
    void *p = aligned_alloc(page, size ? size : page);
    if (!p)
        worker_die("no memory", "tensor");
    if (page > 64)
        madvise(p, size, MADV_HUGEPAGE);
    memset(p, 0, size ? size : page);
    return static_cast<float *>(p);
}

static memory make_memory(const memory::desc &md, const engine &e)
{
    return memory(md, e, zeros(md.get_size()));
}

static float *data_of(const memory &m)
{
    return static_cast<float *>(m.get_data_handle());
}

static size_t floats_in(const memory &m)
{
    return m.get_desc().get_size() / sizeof(float);
}

/* ---- the list of what a step does ------------------------------------------------------------ */

/* One entry: a primitive with its memories, or a loop of our own. */
struct task {
    std::string layer, what;
    primitive prim;
    std::unordered_map<int, memory> args;
    void (*own)(struct network &, struct dropout_layer &);
    struct dropout_layer *dropout;
    double ms = 0.0;

    task(const std::string &name, const std::string &text, const primitive &p,
         const std::unordered_map<int, memory> &a,
         void (*loop)(struct network &, struct dropout_layer &) = nullptr,
         struct dropout_layer *d = nullptr)
        : layer(name), what(text), prim(p), args(a), own(loop), dropout(d)
    {
    }
};

using task_list = std::vector<task>;

struct dropout_layer {
    memory from, to; /* forward: from -> to; backward: in place on grad */
    memory grad;
    std::vector<uint8_t> mask;
    uint64_t number;
};

/* A parameter: a slice of the flat vectors, in the format of the forward pass. */
struct parameter {
    memory::desc plain, stored;
    size_t offset = 0;
    memory value, grad;
};

struct network {
    settings set;
    int batch;
    bool training;
    engine cpu{engine::kind::cpu, 0};
    stream queue{cpu};
    task_list forward, backward;
    std::vector<parameter> params;
    float *values = nullptr, *grads = nullptr, *moment1 = nullptr, *moment2 = nullptr;
    size_t stored = 0;
    memory input, logits, logits_grad;
    std::vector<dropout_layer *> dropouts;
    std::vector<int32_t> labels;
    uint64_t step = 0;
};

static void run(network &n, task &t)
{
    if (t.own)
        t.own(n, *t.dropout);
    else
        t.prim.execute(n.queue, t.args);
}

static void run_all(network &n, task_list &list)
{
    for (task &t : list)
        run(n, t);
    n.queue.wait();
}

/* The fastest of eight runs, after one to warm up. */
static double time_of(network &n, task_list &list)
{
    double best = 1e30;
    run_all(n, list);
    for (int i = 0; i < 8; i++) {
        double start = worker_ms();
        run_all(n, list);
        best = std::min(best, worker_ms() - start);
    }
    return best;
}

/* `m` in the format `want`: itself, or a copy that a reorder on the list fills. */
static memory adapt(network &n, const memory &m, const memory::desc &want, task_list &list,
                    const std::string &layer, const char *what)
{
    if (m.get_desc() == want)
        return m;
    memory copy = make_memory(want, n.cpu);
    list.push_back({layer,
                    std::string("reorder ") + what,
                    reorder(m, copy),
                    {{DNNL_ARG_FROM, m}, {DNNL_ARG_TO, copy}}});
    return copy;
}

/* ---- layers -------------------------------------------------------------------------------------
 * Each forward builder appends its tasks and leaves what its gradient needs in a `layer`; the
 * gradients are built from the last layer to the first, each taking the gradient of its result and
 * giving that of its argument. */

enum class kind { conv, pool, activation, dropout, dense };

struct layer {
    layer(kind k, const std::string &text, const memory &x, const memory &y)
        : what(k), name(text), from(x), to(y)
    {
    }

    kind what;
    std::string name;
    memory from, to;
    int weight = -1, bias = -1; /* indices of parameters */
    bool activated = false;     /* as a post-operation */
    convolution_forward::primitive_desc conv;
    inner_product_forward::primitive_desc dense;
    pooling_forward::primitive_desc pool;
    memory workspace;
    dims kernel, stride, plain_from, plain_to;
    dropout_layer *drop = nullptr;
};

static prop_kind forward_kind(const network &n)
{
    return n.training ? prop_kind::forward_training : prop_kind::forward_inference;
}

static algorithm activation_of(bool elu, bool gradient)
{
    if (elu)
        return gradient ? algorithm::eltwise_elu_use_dst_for_bwd : algorithm::eltwise_elu;
    return gradient ? algorithm::eltwise_relu_use_dst_for_bwd : algorithm::eltwise_relu;
}

static float alpha_of(bool elu)
{
    return elu ? 1.0f : 0.0f;
}

static primitive_attr post_activation(bool on, bool elu)
{
    primitive_attr attr;
    if (on) {
        post_ops ops;
        api::append_activation(ops, elu ? algorithm::eltwise_elu : algorithm::eltwise_relu, alpha_of(elu));
        attr.set_post_ops(ops);
    }
    return attr;
}

static int parameter_add(network &n, const dims &shape, tag plain, const memory::desc &stored)
{
    parameter p;
    p.plain = memory::desc(shape, f32, plain);
    p.stored = stored;
    p.offset = n.stored;
    n.stored += (stored.get_size() / sizeof(float) + 15) / 16 * 16;
    n.params.push_back(p);
    return (int)n.params.size() - 1;
}

static memory::desc any_map(const network &n, const dims &shape)
{
    return memory::desc(shape, f32, n.set.nhwc ? tag::nhwc : tag::any);
}

/* The forward tasks refer to parameters by memories whose place is known only when all layers are:
 * they are made without one, and get it in parameters_place. */
static memory parameter_memory(network &n, int index)
{
    parameter &p = n.params[(size_t)index];
    if (!p.value)
        p.value = memory(p.stored, n.cpu, DNNL_MEMORY_NONE);
    return p.value;
}

static layer conv_add(network &n, const std::string &name, const memory &from, int filters,
                      int size, bool activate, bool elu)
{
    layer l(kind::conv, name, from, memory());
    dims in = api::dims_of(from.get_desc());
    l.plain_from = in;
    l.plain_to = {in[0], filters, in[2] - size + 1, in[3] - size + 1};
    l.kernel = {filters, in[1], size, size};
    l.stride = {1, 1};
    l.activated = activate;
    /* three channels: blocked convolutions read the picture as it is */
    memory::desc from_md = in[1] < 16 && !n.set.nhwc ? from.get_desc() : any_map(n, in);
    l.conv = api::conv(n.cpu, forward_kind(n), from_md, memory::desc(l.kernel, f32, tag::any),
                       memory::desc({filters}, f32, tag::x), any_map(n, l.plain_to), l.stride,
                       post_activation(activate, elu));
    l.weight = parameter_add(n, l.kernel, tag::oihw, l.conv.weights_desc());
    l.bias = parameter_add(n, {filters}, tag::x, l.conv.bias_desc());
    l.from = adapt(n, from, l.conv.src_desc(), n.forward, name, "input");
    l.to = make_memory(l.conv.dst_desc(), n.cpu);
    n.forward.push_back({name,
                         std::string("forward ") + l.conv.impl_info_str(),
                         convolution_forward(l.conv),
                         {{DNNL_ARG_SRC, l.from},
                          {DNNL_ARG_WEIGHTS, parameter_memory(n, l.weight)},
                          {DNNL_ARG_BIAS, parameter_memory(n, l.bias)},
                          {DNNL_ARG_DST, l.to}}});
    return l;
}

static layer dense_add(network &n, const std::string &name, const memory &from, int units,
                       bool activate, bool elu)
{
    layer l(kind::dense, name, from, memory());
    dims in = api::dims_of(from.get_desc());
    l.plain_from = in;
    l.plain_to = {in[0], units};
    l.kernel = in;
    l.kernel[0] = units;
    l.activated = activate;
    l.dense = api::dense(n.cpu, forward_kind(n), from.get_desc(), memory::desc(l.kernel, f32, tag::any),
                         memory::desc({units}, f32, tag::x), memory::desc(l.plain_to, f32, tag::nc),
                         post_activation(activate, elu));
    l.weight =
        parameter_add(n, l.kernel, in.size() == 4 ? tag::oihw : tag::oi, l.dense.weights_desc());
    l.bias = parameter_add(n, {units}, tag::x, l.dense.bias_desc());
    l.to = make_memory(l.dense.dst_desc(), n.cpu);
    n.forward.push_back({name,
                         std::string("forward ") + l.dense.impl_info_str(),
                         inner_product_forward(l.dense),
                         {{DNNL_ARG_SRC, from},
                          {DNNL_ARG_WEIGHTS, parameter_memory(n, l.weight)},
                          {DNNL_ARG_BIAS, parameter_memory(n, l.bias)},
                          {DNNL_ARG_DST, l.to}}});
    return l;
}

static layer pool_add(network &n, const std::string &name, const memory &from)
{
    layer l(kind::pool, name, from, memory());
    dims in = api::dims_of(from.get_desc());
    l.plain_from = in;
    l.plain_to = {in[0], in[1], in[2] / 2, in[3] / 2};
    l.kernel = l.stride = {2, 2};
    l.pool = api::pool(n.cpu, forward_kind(n), from.get_desc(), memory::desc(l.plain_to, f32, tag::any), l.stride,
                       l.kernel);
    l.to = make_memory(l.pool.dst_desc(), n.cpu);
    std::unordered_map<int, memory> args = {{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, l.to}};
    if (n.training) {
        l.workspace = make_memory(l.pool.workspace_desc(), n.cpu);
        args.insert({DNNL_ARG_WORKSPACE, l.workspace});
    }
    n.forward.push_back(
        {name, std::string("forward ") + l.pool.impl_info_str(), pooling_forward(l.pool), args});
    return l;
}

static eltwise_forward::primitive_desc activation_desc(network &n, const memory::desc &md, bool elu)
{
    return api::activation(n.cpu, forward_kind(n), activation_of(elu, n.training), md, alpha_of(elu));
}

/* In place. */
static layer activation_add(network &n, const std::string &name, const memory &from, bool elu)
{
    layer l(kind::activation, name, from, from);
    auto pd = activation_desc(n, from.get_desc(), elu);
    n.forward.push_back({name,
                         std::string("forward ") + pd.impl_info_str(),
                         eltwise_forward(pd),
                         {{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, from}}});
    return l;
}

static uint64_t scramble(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A 64-bit number decides about eight elements, a byte each: one half is exact, other fractions to
 * 1/256. */
static void dropout_forward(network &n, dropout_layer &d)
{
    const size_t count = floats_in(d.from);
    const float *from = data_of(d.from);
    float *to = data_of(d.to);
    uint8_t *mask = d.mask.data();
    const unsigned limit = (unsigned)std::lround(n.set.dropout * 256.0f);
    const float factor = 1.0f / (1.0f - (float)limit / 256.0f);
    const uint64_t key = scramble(n.step * 2 + d.number + 1);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count / 8; i++) {
        uint64_t bits = scramble(key + i * 0x9e3779b97f4a7c15u);
        for (size_t k = 0; k < 8; k++) {
            uint8_t kept = (bits >> (8 * k) & 255) >= limit;
            mask[8 * i + k] = kept;
            to[8 * i + k] = kept ? from[8 * i + k] * factor : 0.0f;
        }
    }
}

static void dropout_backward(network &n, dropout_layer &d)
{
    const size_t count = floats_in(d.grad);
    float *grad = data_of(d.grad);
    const uint8_t *mask = d.mask.data();
    const unsigned limit = (unsigned)std::lround(n.set.dropout * 256.0f);
    const float factor = 1.0f / (1.0f - (float)limit / 256.0f);
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        grad[i] = mask[i] ? grad[i] * factor : 0.0f;
}

static layer dropout_add(network &n, const std::string &name, const memory &from)
{
    layer l(kind::dropout, name, from, make_memory(from.get_desc(), n.cpu));
    size_t count = floats_in(from);
    if (count % 8)
        worker_die("the number of elements is no multiple of eight", name.c_str());
    l.drop =
        new dropout_layer{from, l.to, memory(), std::vector<uint8_t>(count), n.dropouts.size()};
    n.dropouts.push_back(l.drop);
    n.forward.push_back({name, "forward own loop", primitive(), {}, dropout_forward, l.drop});
    return l;
}

/* ---- gradients ------------------------------------------------------------------------------- */

/* The library's plain loops, some hundred times slower than its kernels: not worth timing. */
static bool has_reference(const task_list &list)
{
    return std::any_of(list.begin(), list.end(),
                       [](const task &t) { return t.what.find(" ref:") != std::string::npos; });
}

/* Of two ways to compute the same, the faster. */
static memory faster(network &n, task_list &way1, const memory &result1, task_list &way2,
                     const memory &result2)
{
    bool second = way1.empty() || has_reference(way1) ||
                  (!has_reference(way2) && (!n.set.tune || time_of(n, way2) < time_of(n, way1)));
    task_list &chosen = second ? way2 : way1;
    n.backward.insert(n.backward.end(), chosen.begin(), chosen.end());
    return second ? result2 : result1;
}

/* The weight gradient; `fixed`: in the formats at hand, otherwise in those that the library
 * chooses. */
static memory conv_weight_gradient(network &n, layer &l, const memory &grad, bool fixed,
                                   task_list &list)
{
    parameter &w = n.params[(size_t)l.weight], &b = n.params[(size_t)l.bias];
    auto pd = api::conv_weights(n.cpu, fixed || l.plain_from[1] < 16 ? l.from.get_desc() : any_map(n, l.plain_from),
                                fixed ? w.stored : memory::desc(l.kernel, f32, tag::any), b.stored,
                                fixed ? grad.get_desc() : any_map(n, l.plain_to), l.stride, l.conv);
    memory from = adapt(n, l.from, pd.src_desc(), list, l.name, "input");
    memory to = adapt(n, grad, pd.diff_dst_desc(), list, l.name, "gradient");
    bool direct = pd.diff_weights_desc() == w.stored;
    memory made = direct ? w.grad : make_memory(pd.diff_weights_desc(), n.cpu);
    list.push_back({l.name,
                    std::string("weight gradient ") + pd.impl_info_str(),
                    convolution_backward_weights(pd),
                    {{DNNL_ARG_SRC, from},
                     {DNNL_ARG_DIFF_DST, to},
                     {DNNL_ARG_DIFF_WEIGHTS, made},
                     {DNNL_ARG_DIFF_BIAS, b.grad}}});
    if (!direct)
        list.push_back({l.name,
                        "reorder weight gradient",
                        reorder(made, w.grad),
                        {{DNNL_ARG_FROM, made}, {DNNL_ARG_TO, w.grad}}});
    return w.grad;
}

static memory conv_data_gradient(network &n, layer &l, const memory &grad, bool fixed,
                                 task_list &list)
{
    parameter &w = n.params[(size_t)l.weight];
    auto pd = api::conv_data(n.cpu, any_map(n, l.plain_from), fixed ? w.stored : memory::desc(l.kernel, f32, tag::any),
                             fixed ? grad.get_desc() : any_map(n, l.plain_to), l.stride, l.conv);
    memory weights = adapt(n, w.value, pd.weights_desc(), list, l.name, "weights");
    memory to = adapt(n, grad, pd.diff_dst_desc(), list, l.name, "gradient");
    memory made = make_memory(pd.diff_src_desc(), n.cpu);
    list.push_back(
        {l.name,
         std::string("data gradient ") + pd.impl_info_str(),
         convolution_backward_data(pd),
         {{DNNL_ARG_DIFF_DST, to}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DIFF_SRC, made}}});
    return made;
}

static memory dense_weight_gradient(network &n, layer &l, const memory &grad, bool fixed,
                                    task_list &list)
{
    parameter &w = n.params[(size_t)l.weight], &b = n.params[(size_t)l.bias];
    auto pd = api::dense_weights(n.cpu, l.from.get_desc(), fixed ? w.stored : memory::desc(l.kernel, f32, tag::any),
                                 b.stored, grad.get_desc(), l.dense);
    bool direct = pd.diff_weights_desc() == w.stored;
    memory made = direct ? w.grad : make_memory(pd.diff_weights_desc(), n.cpu);
    list.push_back({l.name,
                    std::string("weight gradient ") + pd.impl_info_str(),
                    inner_product_backward_weights(pd),
                    {{DNNL_ARG_SRC, l.from},
                     {DNNL_ARG_DIFF_DST, grad},
                     {DNNL_ARG_DIFF_WEIGHTS, made},
                     {DNNL_ARG_DIFF_BIAS, b.grad}}});
    if (!direct)
        list.push_back({l.name,
                        "reorder weight gradient",
                        reorder(made, w.grad),
                        {{DNNL_ARG_FROM, made}, {DNNL_ARG_TO, w.grad}}});
    return w.grad;
}

static memory dense_data_gradient(network &n, layer &l, const memory &grad, bool fixed,
                                  task_list &list)
{
    parameter &w = n.params[(size_t)l.weight];
    auto pd = api::dense_data(n.cpu, l.from.get_desc(), fixed ? w.stored : memory::desc(l.kernel, f32, tag::any),
                              grad.get_desc(), l.dense);
    memory weights = adapt(n, w.value, pd.weights_desc(), list, l.name, "weights");
    memory made = make_memory(pd.diff_src_desc(), n.cpu);
    list.push_back(
        {l.name,
         std::string("data gradient ") + pd.impl_info_str(),
         inner_product_backward_data(pd),
         {{DNNL_ARG_DIFF_DST, grad}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DIFF_SRC, made}}});
    return made;
}

/* Tries both ways of a gradient; a way that the library cannot go is left out. */
template <typename builder>
static memory gradient_add(network &n, layer &l, const memory &grad, builder build)
{
    task_list fixed, chosen;
    memory result1, result2;
    try {
        result1 = build(n, l, grad, true, fixed);
    } catch (const dnnl::error &) {
        fixed.clear();
    }
    result2 = build(n, l, grad, false, chosen);
    return faster(n, fixed, result1, chosen, result2);
}

static memory pool_gradient(network &n, layer &l, const memory &grad)
{
    auto pd = api::pool_gradient(n.cpu, l.from.get_desc(), l.to.get_desc(), l.stride, l.kernel, l.pool);
    memory to = adapt(n, grad, pd.diff_dst_desc(), n.backward, l.name, "gradient");
    memory made = make_memory(pd.diff_src_desc(), n.cpu);
    n.backward.push_back(
        {l.name,
         std::string("gradient ") + pd.impl_info_str(),
         pooling_backward(pd),
         {{DNNL_ARG_DIFF_DST, to}, {DNNL_ARG_WORKSPACE, l.workspace}, {DNNL_ARG_DIFF_SRC, made}}});
    return made;
}

/* From the activation's result, in place on its gradient. */
static memory activation_gradient(network &n, const std::string &name, const memory &result,
                                  const memory &grad, bool elu)
{
    memory g = adapt(n, grad, result.get_desc(), n.backward, name, "gradient");
    auto forward = activation_desc(n, result.get_desc(), elu);
    auto pd = api::activation_gradient(n.cpu, activation_of(elu, true), g.get_desc(), result.get_desc(), alpha_of(elu),
                                       forward);
    n.backward.push_back(
        {name,
         std::string("activation gradient ") + pd.impl_info_str(),
         eltwise_backward(pd),
         {{DNNL_ARG_DST, result}, {DNNL_ARG_DIFF_DST, g}, {DNNL_ARG_DIFF_SRC, g}}});
    return g;
}

static memory dropout_gradient(network &n, layer &l, const memory &grad)
{
    l.drop->grad = adapt(n, grad, l.from.get_desc(), n.backward, l.name, "gradient");
    n.backward.push_back({l.name, "gradient own loop", primitive(), {}, dropout_backward, l.drop});
    return l.drop->grad;
}

static void gradients_build(network &n, std::vector<layer> &layers, const std::vector<bool> &elu)
{
    memory grad = n.logits_grad;
    for (size_t i = layers.size(); i-- > 0;) {
        layer &l = layers[i];
        bool first = i == 0;
        if (l.activated)
            grad = activation_gradient(n, l.name, l.to, grad, elu[i]);
        switch (l.what) {
        case kind::conv:
            gradient_add(n, l, grad, conv_weight_gradient);
            if (!first)
                grad = gradient_add(n, l, grad, conv_data_gradient);
            break;
        case kind::dense:
            gradient_add(n, l, grad, dense_weight_gradient);
            grad = gradient_add(n, l, grad, dense_data_gradient);
            break;
        case kind::pool:
            grad = pool_gradient(n, l, grad);
            break;
        case kind::activation:
            grad = activation_gradient(n, l.name, l.to, grad, elu[i]);
            break;
        case kind::dropout:
            grad = dropout_gradient(n, l, grad);
            break;
        }
    }
}

/* ---- the network ----------------------------------------------------------------------------- */

static void parameters_place(network &n)
{
    n.values = zeros(n.stored * sizeof(float));
    if (n.training) {
        n.grads = zeros(n.stored * sizeof(float));
        n.moment1 = zeros(n.stored * sizeof(float));
        n.moment2 = zeros(n.stored * sizeof(float));
    }
    for (parameter &p : n.params) {
        p.value.set_data_handle(n.values + p.offset);
        if (n.training)
            p.grad = memory(p.stored, n.cpu, n.grads + p.offset);
    }
}

/* Reads the parameters, in PyTorch's layouts one after another. */
static void parameters_read(network &n, const float *from)
{
    for (parameter &p : n.params) {
        memory plain(p.plain, n.cpu, const_cast<float *>(from));
        reorder(plain, p.value).execute(n.queue, plain, p.value);
        n.queue.wait();
        from += p.plain.get_size() / sizeof(float);
    }
}

static const size_t parameters_count = 5329418;

struct builder {
    network &n;
    std::vector<layer> layers;
    std::vector<bool> elu;
    int convs = 0, pools = 0, denses = 0, drops = 0;

    memory last() const
    {
        return layers.empty() ? n.input : layers.back().to;
    }

    void add(layer l, bool is_elu)
    {
        layers.push_back(l);
        elu.push_back(is_elu);
    }

    /* A convolution; with a pool after it, and the activation on the side of the pool that
     * `pool_first` says. */
    void conv(int filters, int size, bool is_elu, bool pooled)
    {
        std::string name = "conv2d_" + std::to_string(++convs);
        bool after = pooled && n.set.pool_first;
        add(conv_add(n, name, last(), filters, size, !after, is_elu), is_elu);
        if (pooled)
            add(pool_add(n, "maxpool2d_" + std::to_string(++pools), last()), is_elu);
        if (after)
            add(activation_add(n, name, last(), is_elu), is_elu);
    }

    void dense(int units, bool activate, bool is_elu)
    {
        add(dense_add(n, "dense_" + std::to_string(++denses), last(), units, activate, is_elu),
            is_elu);
    }

    void dropout()
    {
        drops++;
        if (n.training && n.set.dropout > 0.0f)
            add(dropout_add(n, "dropout_" + std::to_string(drops), last()), false);
    }
};

static void network_build(network &n, const settings &set, int batch, bool training)
{
    n.set = set;
    n.batch = batch;
    n.training = training;
    n.labels.resize((size_t)batch);
    n.input = make_memory(memory::desc({batch, 3, 32, 32}, f32, tag::nchw), n.cpu);
    builder b{n, {}, {}};
    const bool elu = set.elu;
    b.conv(128, 2, false, false);
    b.conv(128, 2, elu, false);
    b.conv(128, 1, elu, true);
    b.conv(256, 2, elu, false);
    b.conv(256, 2, elu, false);
    b.conv(256, 1, elu, true);
    b.dropout();
    b.dense(512, true, elu);
    b.dropout();
    b.dense(128, true, elu);
    b.dense(10, false, elu);
    n.logits = b.last();
    parameters_place(n);
    if (training) {
        n.logits_grad = make_memory(n.logits.get_desc(), n.cpu);
        gradients_build(n, b.layers, b.elu);
    }
}

/* ---- a step ---------------------------------------------------------------------------------- */

/* Softmax and cross-entropy: the mean loss, and its gradient with respect to the logits. */
static double loss_make(network &n)
{
    double loss = 0.0;
    for (int i = 0; i < n.batch; i++) {
        const float *x = data_of(n.logits) + i * CLASSES;
        float *g = data_of(n.logits_grad) + i * CLASSES;
        float top = *std::max_element(x, x + CLASSES), sum = 0.0f;
        for (int k = 0; k < CLASSES; k++)
            sum += g[k] = std::exp(x[k] - top);
        loss += std::log(sum) + top - x[n.labels[(size_t)i]];
        for (int k = 0; k < CLASSES; k++)
            g[k] = (g[k] / sum - (k == n.labels[(size_t)i] ? 1.0f : 0.0f)) / (float)n.batch;
    }
    return loss / n.batch;
}

/* Keras's Adam. */
static void adam(network &n)
{
    const double t = (double)n.step + 1.0;
    const float rate =
        (float)(n.set.lr * std::sqrt(1.0 - std::pow(0.999, t)) / (1.0 - std::pow(0.9, t)));
    const size_t count = n.stored;
    float *__restrict__ p = n.values, *__restrict__ m = n.moment1, *__restrict__ v = n.moment2;
    const float *__restrict__ g = n.grads;
#pragma omp parallel for simd schedule(static) aligned(p, m, v, g : 64)
    for (size_t i = 0; i < count; i++) {
        m[i] = 0.9f * m[i] + 0.1f * g[i];
        v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
        p[i] -= rate * m[i] / (std::sqrt(v[i]) + 1e-7f);
    }
}

static double training_step(network &n)
{
    run_all(n, n.forward);
    double loss = loss_make(n);
    run_all(n, n.backward);
    adam(n);
    n.step++;
    return loss;
}

static void batch_set(network &n, const float *images, const int32_t *labels)
{
    std::copy(images, images + (size_t)n.batch * 3072, data_of(n.input));
    std::copy(labels, labels + n.batch, n.labels.begin());
}

/* ---- commands -------------------------------------------------------------------------------- */

struct contender {
    settings set;
    const float *weights, *images;
    const int32_t *labels;
    long batches;
    network train, single;

    void next_batch()
    {
        size_t at = (size_t)((long)train.step % batches) * BATCH;
        batch_set(train, images + at * 3072, labels + at);
    }
};

static void plan_print(network &n)
{
    printf("{\"plan\": [");
    const char *comma = "";
    for (task_list *list : {&n.forward, &n.backward})
        for (task &t : *list) {
            printf("%s[\"%s\", \"%s\", %.4f]", comma, t.layer.c_str(), t.what.c_str(), t.ms);
            comma = ", ";
        }
    printf("]}\n");
    fflush(stdout);
}

static void profile(contender &c, long count)
{
    network &n = c.train;
    task update{"update", "Adam, own loop", primitive(), {}};
    for (long i = 0; i < count; i++) {
        c.next_batch();
        for (task_list *list : {&n.forward, &n.backward}) {
            for (task &t : *list) {
                double start = worker_ms();
                run(n, t);
                n.queue.wait();
                t.ms += (worker_ms() - start) / (double)count;
            }
            if (list == &n.forward)
                loss_make(n);
        }
        double start = worker_ms();
        adam(n);
        n.step++;
        update.ms += (worker_ms() - start) / (double)count;
    }
    n.backward.push_back(update);
    plan_print(n);
    n.backward.pop_back();
    for (task_list *list : {&n.forward, &n.backward})
        for (task &t : *list)
            t.ms = 0.0;
}

/* The first picture's probabilities. */
static void outputs(network &n)
{
    run_all(n, n.forward);
    const float *x = data_of(n.logits);
    double values[CLASSES], top = *std::max_element(x, x + CLASSES), sum = 0.0;
    for (int k = 0; k < CLASSES; k++)
        sum += values[k] = std::exp(x[k] - top);
    for (double &v : values)
        v /= sum;
    worker_answer("outputs", values, CLASSES);
}

static void serve(contender &c)
{
    char word[WORKER_WORD];
    long count;
    while (worker_next(word, &count)) {
        std::vector<double> values((size_t)count);
        if (!strcmp(word, "steps") || !strcmp(word, "losses")) {
            bool losses = *word == 'l';
            for (double &v : values) {
                c.next_batch();
                double start = worker_ms();
                double loss = training_step(c.train);
                v = losses ? loss : worker_ms() - start;
            }
            worker_answer(losses ? "losses" : "ms", values.data(), count);
        } else if (!strcmp(word, "infer")) {
            for (double &v : values) {
                double start = worker_ms();
                run_all(c.single, c.single.forward);
                v = worker_ms() - start;
            }
            worker_answer("ms", values.data(), count);
        } else if (!strcmp(word, "outputs")) {
            outputs(c.single);
        } else if (!strcmp(word, "profile")) {
            profile(c, count);
        } else if (!strcmp(word, "plan")) {
            plan_print(c.train);
        } else {
            worker_refuse(word);
        }
    }
}

static int contender_run(const settings &set, char **files)
{
    contender c;
    c.set = set;
    c.batches = atol(files[3]);
    if (c.batches < 1)
        worker_die("at least one batch is needed", files[3]);
    c.weights = static_cast<float *>(worker_read(files[0], parameters_count, sizeof(float)));
    c.images = static_cast<float *>(
        worker_read(files[1], (size_t)c.batches * BATCH * 3072, sizeof(float)));
    c.labels =
        static_cast<int32_t *>(worker_read(files[2], (size_t)c.batches * BATCH, sizeof(int32_t)));
    network_build(c.train, set, BATCH, true);
    parameters_read(c.train, c.weights);
    network_build(c.single, set, 1, false);
    parameters_read(c.single, c.weights);
    batch_set(c.single, c.images, c.labels);
    const version_t *v = dnnl_version();
    printf("{\"ready\": \"oneDNN %d.%d.%d\"}\n", v->major, v->minor, v->patch);
    fflush(stdout);
    serve(c);
    return 0;
}

/* All of CIFAR-10's records in memory, as any trainer that shuffles has them. */
static std::vector<uint8_t> cifar10_read(const std::string &dir)
{
    enum { FILES = 5, SIZE = 30730000 };
    std::vector<uint8_t> all((size_t)FILES * SIZE);
    for (int i = 0; i < FILES; i++) {
        std::string path = dir + "/data_batch_" + std::to_string(i + 1) + ".bin";
        FILE *f = fopen(path.c_str(), "rb");
        if (!f || fread(all.data() + (size_t)i * SIZE, 1, SIZE, f) != SIZE)
            worker_die("cannot be read, or is too short", path.c_str());
        fclose(f);
    }
    return all;
}

static int cifar10_train(const settings &set, const std::string &dir, long count)
{
    std::vector<uint8_t> records = cifar10_read(dir);
    network n;
    network_build(n, set, BATCH, true);
    std::vector<float> weights(parameters_count);
    for (size_t i = 0; i < weights.size(); i++)
        weights[i] = 0.04f * ((float)(scramble(i) >> 40) * 0x1p-24f - 0.5f);
    parameters_read(n, weights.data());
    std::vector<float> images((size_t)BATCH * 3072);
    std::vector<int32_t> labels(BATCH);
    for (long s = 0; s < count; s++) {
        for (size_t i = 0; i < BATCH; i++) {
            const uint8_t *record = records.data() + 3073 * (((size_t)s * BATCH + i) % 50000);
            labels[i] = record[0];
            for (size_t k = 0; k < 3072; k++)
                images[3072 * i + k] = (float)record[1 + k] / 255.0f;
        }
        batch_set(n, images.data(), labels.data());
        printf("%ld,%.9g\n", s, training_step(n));
        fflush(stdout);
    }
    return 0;
}

/* What stands before the files; ends the program where it is not understood. */
static settings settings_read(int argc, char **argv, int &at)
{
    settings s;
    std::string model = argc > 1 ? argv[1] : "";
    if (model != "relu" && model != "elu")
        worker_die("expected relu or elu first", argv[0]);
    s.elu = model == "elu";
    for (at = 2; at < argc && strchr(argv[at], '='); at++) {
        std::string option(argv[at], strchr(argv[at], '=')), value = strchr(argv[at], '=') + 1;
        if (option == "layout" && (value == "blocked" || value == "nhwc"))
            s.nhwc = value == "nhwc";
        else if (option == "dropout")
            s.dropout = (float)atof(value.c_str());
        else if (option == "lr")
            s.lr = atof(value.c_str());
        else if (option == "pool_first")
            s.pool_first = value == "1";
        else if (option == "tune")
            s.tune = value == "1";
        else if (option == "threads" && atoi(value.c_str()) > 0)
            s.threads = atoi(value.c_str());
        else
            worker_die("not understood", argv[at]);
    }
    return s;
}

int main(int argc, char **argv)
try {
    int at = 0;
    settings set = settings_read(argc, argv, at);
    omp_set_num_threads(set.threads);
#if defined __SSE2__
#pragma omp parallel
    _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
    if (argc - at == 3 && !strcmp(argv[at], "cifar10"))
        return cifar10_train(set, argv[at + 1], atol(argv[at + 2]));
    if (argc - at != 4)
        worker_die("expected WEIGHTS IMAGES LABELS BATCHES, or cifar10 DIR STEPS", argv[0]);
    return contender_run(set, argv + at);
} catch (const dnnl::error &e) {
    fprintf(stderr, "bench: oneDNN: %s (status %d)\n", e.message, (int)e.status);
    return 1;
}
