/* onednn_api.h - what bench_onednn.cpp asks of oneDNN, in the words of its releases 2 and 3: release 3 has no operation
 * descriptors any more, and activations name both what they read and what they write.
 */
#ifndef BENCH_ONEDNN_API_H
#define BENCH_ONEDNN_API_H

#include "dnnl.hpp"

namespace api {

using namespace dnnl;
using dims = memory::dims;
using md = memory::desc;
static const dims none = {0, 0};

#if DNNL_VERSION_MAJOR == 2

static inline dims dims_of(const md &m)
{
    return m.dims();
}

static inline void append_activation(post_ops &ops, algorithm what, float alpha)
{
    ops.append_eltwise(1.0f, what, alpha, 0.0f);
}

static inline convolution_forward::primitive_desc conv(const engine &e, prop_kind kind, const md &from, const md &w,
                                                       const md &b, const md &to, const dims &stride,
                                                       const primitive_attr &attr)
{
    return {{kind, algorithm::convolution_direct, from, w, b, to, stride, none, none}, attr, e};
}

static inline convolution_backward_weights::primitive_desc
conv_weights(const engine &e, const md &from, const md &dw, const md &db, const md &dto, const dims &stride,
             const convolution_forward::primitive_desc &forward)
{
    return {{algorithm::convolution_direct, from, dw, db, dto, stride, none, none}, e, forward};
}

static inline convolution_backward_data::primitive_desc conv_data(const engine &e, const md &dfrom, const md &w,
                                                                  const md &dto, const dims &stride,
                                                                  const convolution_forward::primitive_desc &forward)
{
    return {{algorithm::convolution_direct, dfrom, w, dto, stride, none, none}, e, forward};
}

static inline inner_product_forward::primitive_desc dense(const engine &e, prop_kind kind, const md &from, const md &w,
                                                          const md &b, const md &to, const primitive_attr &attr)
{
    return {{kind, from, w, b, to}, attr, e};
}

static inline inner_product_backward_weights::primitive_desc
dense_weights(const engine &e, const md &from, const md &dw, const md &db, const md &dto,
              const inner_product_forward::primitive_desc &forward)
{
    return {{from, dw, db, dto}, e, forward};
}

static inline inner_product_backward_data::primitive_desc
dense_data(const engine &e, const md &dfrom, const md &w, const md &dto,
           const inner_product_forward::primitive_desc &forward)
{
    return {{dfrom, w, dto}, e, forward};
}

static inline pooling_forward::primitive_desc pool(const engine &e, prop_kind kind, const md &from, const md &to,
                                                   const dims &stride, const dims &window)
{
    return {{kind, algorithm::pooling_max, from, to, stride, window, none, none}, e};
}

static inline pooling_backward::primitive_desc pool_gradient(const engine &e, const md &dfrom, const md &dto,
                                                             const dims &stride, const dims &window,
                                                             const pooling_forward::primitive_desc &forward)
{
    return {{algorithm::pooling_max, dfrom, dto, stride, window, none, none}, e, forward};
}

static inline eltwise_forward::primitive_desc activation(const engine &e, prop_kind kind, algorithm what, const md &m,
                                                         float alpha)
{
    return {{kind, what, m, alpha}, e};
}

static inline eltwise_backward::primitive_desc activation_gradient(const engine &e, algorithm what, const md &gradient,
                                                                   const md &result, float alpha,
                                                                   const eltwise_forward::primitive_desc &forward)
{
    return {{what, gradient, result, alpha}, e, forward};
}

#elif DNNL_VERSION_MAJOR == 3

static inline dims dims_of(const md &m)
{
    return m.get_dims();
}

static inline void append_activation(post_ops &ops, algorithm what, float alpha)
{
    ops.append_eltwise(what, alpha, 0.0f);
}

static inline convolution_forward::primitive_desc conv(const engine &e, prop_kind kind, const md &from, const md &w,
                                                       const md &b, const md &to, const dims &stride,
                                                       const primitive_attr &attr)
{
    return {e, kind, algorithm::convolution_direct, from, w, b, to, stride, none, none, attr};
}

static inline convolution_backward_weights::primitive_desc
conv_weights(const engine &e, const md &from, const md &dw, const md &db, const md &dto, const dims &stride,
             const convolution_forward::primitive_desc &forward)
{
    return {e, algorithm::convolution_direct, from, dw, db, dto, stride, none, none, forward};
}

static inline convolution_backward_data::primitive_desc conv_data(const engine &e, const md &dfrom, const md &w,
                                                                  const md &dto, const dims &stride,
                                                                  const convolution_forward::primitive_desc &forward)
{
    return {e, algorithm::convolution_direct, dfrom, w, dto, stride, none, none, forward};
}

static inline inner_product_forward::primitive_desc dense(const engine &e, prop_kind kind, const md &from, const md &w,
                                                          const md &b, const md &to, const primitive_attr &attr)
{
    return {e, kind, from, w, b, to, attr};
}

static inline inner_product_backward_weights::primitive_desc
dense_weights(const engine &e, const md &from, const md &dw, const md &db, const md &dto,
              const inner_product_forward::primitive_desc &forward)
{
    return {e, from, dw, db, dto, forward};
}

static inline inner_product_backward_data::primitive_desc
dense_data(const engine &e, const md &dfrom, const md &w, const md &dto,
           const inner_product_forward::primitive_desc &forward)
{
    return {e, dfrom, w, dto, forward};
}

static inline pooling_forward::primitive_desc pool(const engine &e, prop_kind kind, const md &from, const md &to,
                                                   const dims &stride, const dims &window)
{
    return {e, kind, algorithm::pooling_max, from, to, stride, window, none, none, none};
}

static inline pooling_backward::primitive_desc pool_gradient(const engine &e, const md &dfrom, const md &dto,
                                                             const dims &stride, const dims &window,
                                                             const pooling_forward::primitive_desc &forward)
{
    return {e, algorithm::pooling_max, dfrom, dto, stride, window, none, none, none, forward};
}

static inline eltwise_forward::primitive_desc activation(const engine &e, prop_kind kind, algorithm what, const md &m,
                                                         float alpha)
{
    return {e, kind, what, m, m, alpha};
}

static inline eltwise_backward::primitive_desc activation_gradient(const engine &e, algorithm what, const md &gradient,
                                                                   const md &result, float alpha,
                                                                   const eltwise_forward::primitive_desc &forward)
{
    return {e, what, gradient, gradient, result, alpha, forward};
}

#else
#error "this program is written for oneDNN 2 and 3"
#endif

} // namespace api

#endif
