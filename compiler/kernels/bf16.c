/* bf16.c - see bf16.h. */
#include "kernels/bf16.h"

#include <inttypes.h>

#include "kernels/loops.h"

int64_t bf16_pairs_of(int64_t numbers)
{
    return (numbers + 1) / 2;
}

double pairs_copy_cycles(const struct plan *p, double numbers)
{
    return numbers * (p->real_size + 2) / p->target->costs->copy_rate;
}

/* The call that rounds `columns` pixels of a line; of an odd number of channels pixel by pixel, as each ends with half
 * a pair. */
static void emit_line(struct emitter *e, const char *from, const char *to, int columns, int c)
{
    if (c % 2 == 0 || columns == 1) {
        cw_line(e->w, "bf16_pairs(%s, %s, %" PRId64 ");", from, to, (int64_t)columns * c);
        return;
    }
    cw_open(e->w, "for (int i = 0; i < %d; i++)", columns);
    cw_line(e->w, "bf16_pairs(%s + i * %d, %s + i * %" PRId64 ", %d);", from, c, to, bf16_pairs_of(c), c);
    cw_close(e->w, "");
}

void emit_pairs_copy(struct emitter *e, const char *from, const char *to, int h, int w, int c, int top, int left,
                     int ph, int pw)
{
    int columns = left + w > pw ? pw - left : w, right = pw - left - columns;
    int end = top + h > ph ? ph : top + h;
    int64_t pixel = bf16_pairs_of(c), row = pw * pixel;
    cw_line(e->w, "// pairs of bfloat16%s: %d x %d x %" PRId64, top || left || right || end < ph ? " with zeros around"
            : "", ph, pw, pixel);
    if (top)
        cw_line(e->w, "memset(%s, 0, sizeof(bf16_pair) * %" PRId64 ");", to, top * row);
    loop_open(e, "r", top, end, 1);
    cw_line(e->w, "bf16_pair *const line = %s + r * %" PRId64 ";", to, row);
    if (left)
        cw_line(e->w, "memset(line, 0, sizeof(bf16_pair) * %" PRId64 ");", left * pixel);
    const char *inner = top ? arena_printf(e->arena, "(r - %d)", top) : "r";
    emit_line(e, arena_printf(e->arena, "%s + %s * %" PRId64, from, inner, (int64_t)w * c),
              arena_printf(e->arena, "line%s", text_offset(e, left * pixel)), columns, c);
    if (right)
        cw_line(e->w, "memset(line + %" PRId64 ", 0, sizeof(bf16_pair) * %" PRId64 ");", (left + columns) * pixel,
                right * pixel);
    cw_close(e->w, "}");
    if (end < ph)
        cw_line(e->w, "memset(%s + %" PRId64 ", 0, sizeof(bf16_pair) * %" PRId64 ");", to, end * row, (ph - end) * row);
}
