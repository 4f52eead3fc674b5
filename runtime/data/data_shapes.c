/* data_shapes.c - pictures of ten figures, drawn from a seed: nothing to download.
 *
 * Each picture holds one figure of random place, size, tilt and colour, brighter than the ground it
 * lies on, with small clutter behind and over it, and noise.  Place, size and colour say nothing
 * about the class; the outline says all.  On 20,000 pictures a linear model on pixels stays near a
 * third right; three small convolutions with pooling pass 95 % within five epochs.  A picture
 * depends on (seed, training or test, its number) alone.
 */
#include "data/data.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/guest.h"
#include "core/message.h"
#include "core/random.h"
#include "common/recipe.h"
#include "core/team.h"

enum { SIDE = 32, CHANNELS = 3, PIXELS = SIDE * SIDE, FIGURES = 10, COUNT_MAX = 10000000 };

/* ---- figures --------------------------------------------------------------------------------- */

/* The signed distance from the outline, negative inside; a figure is about as large as the unit
 * circle. */
typedef float figure_function(float x, float y);

static float disc(float x, float y, float radius)
{
    return sqrtf(x * x + y * y) - radius;
}

static float box(float x, float y, float half_width, float half_height)
{
    return fmaxf(fabsf(x) - half_width, fabsf(y) - half_height);
}

static float circle(float x, float y)
{
    return disc(x, y, 0.9f);
}

static float square(float x, float y)
{
    return box(x, y, 0.8f, 0.8f);
}

static float triangle(float x, float y)
{
    /* three edges at the same distance from the centre */
    const float half = 0.5f, tall = 0.8660254f;
    return fmaxf(fmaxf(-y, tall * x + half * y), -tall * x + half * y) - 0.55f;
}

static float star(float x, float y)
{
    /* folded into a tenth of the star, which is one straight edge from a point to a notch */
    const float fifth = 1.2566371f, notch = 0.42f, tenth_cos = 0.8090170f, tenth_sin = 0.5877853f;
    float angle = atan2f(y, x), radius = sqrtf(x * x + y * y);
    angle = fabsf(angle - fifth * floorf(angle / fifth + 0.5f));
    float edge_x = notch * tenth_cos - 1.05f, edge_y = notch * tenth_sin;
    float px = radius * cosf(angle) - 1.05f, py = radius * sinf(angle);
    return (px * edge_y - py * edge_x) / sqrtf(edge_x * edge_x + edge_y * edge_y);
}

static float cross(float x, float y)
{
    return fminf(box(x, y, 0.95f, 0.3f), box(x, y, 0.3f, 0.95f));
}

static float ring(float x, float y)
{
    return fabsf(disc(x, y, 0.74f)) - 0.22f;
}

static float stripes(float x, float y)
{
    /* three bars */
    float middle = fminf(fabsf(y), fabsf(fabsf(y) - 0.68f));
    return fmaxf(middle - 0.19f, fabsf(x) - 0.85f);
}

static float diamond(float x, float y)
{
    return (fabsf(x) * 0.5f + fabsf(y) - 0.52f) * 0.8944272f;
}

static float crescent(float x, float y)
{
    return fmaxf(disc(x, y, 0.95f), -disc(x - 0.45f, y, 0.75f));
}

static float heart(float x, float y)
{
    /* a square on its corner with a disc on each upper side */
    const float slant = 0.7071068f, half = 0.5f;
    float u = slant * (x + y + 0.15f), v = slant * (y + 0.15f - x);
    return fminf(box(u, v, half, half), fminf(disc(u - half, v, half), disc(u, v - half, half)));
}

static figure_function *const figures[FIGURES] = { circle, square, triangle, star, cross,
                                                   ring, stripes, diamond, crescent, heart };
static const char *const figure_names[FIGURES] = { "circle",   "square", "triangle", "star",
                                                   "cross",    "ring",   "stripes",  "diamond",
                                                   "crescent", "heart" };

/* ---- a picture ------------------------------------------------------------------------------- */

struct dice {
    uint64_t key, thrown;
};

static float throw_between(struct dice *d, float low, float high)
{
    return low + (high - low) * (float)rt_random_uniform(d->key, d->thrown++);
}

struct colour {
    float part[CHANNELS];       /* 0 .. 255 */
};

static struct colour throw_colour(struct dice *d, float low, float high)
{
    struct colour c;
    for (int i = 0; i < CHANNELS; i++)
        c.part[i] = throw_between(d, low, high);
    return c;
}

static struct colour colour_mix(struct colour from, struct colour to, float share)
{
    for (int i = 0; i < CHANNELS; i++)
        from.part[i] += share * (to.part[i] - from.part[i]);
    return from;
}

static float brightness(struct colour c)
{
    return 0.3f * c.part[0] + 0.6f * c.part[1] + 0.1f * c.part[2];
}

/* What is drawn over a canvas: a figure turned, sized and placed. */
struct stamp {
    figure_function *figure;
    float x, y, size, cosine, sine;
    struct colour colour;
};

static void stamp_draw(float *canvas, const struct stamp *s)
{
    /* no figure reaches further than 1.3 of its size */
    float reach = 1.3f * s->size + 1.0f;
    int top = (int)fmaxf(s->y - reach, 0.0f), bottom = (int)fminf(s->y + reach + 1.0f, SIDE);
    int left = (int)fmaxf(s->x - reach, 0.0f), right = (int)fminf(s->x + reach + 1.0f, SIDE);
    for (int h = top; h < bottom; h++)
        for (int w = left; w < right; w++) {
            float dx = ((float)w + 0.5f - s->x) / s->size, dy = ((float)h + 0.5f - s->y) / s->size;
            float far =
                s->figure(s->cosine * dx + s->sine * dy, s->cosine * dy - s->sine * dx) * s->size;
            /* an outline cuts through a pixel: it is covered in part */
            float covered = fminf(fmaxf(0.5f - far, 0.0f), 1.0f);
            float *pixel = canvas + (h * SIDE + w) * CHANNELS;
            for (int c = 0; c < CHANNELS; c++)
                pixel[c] += covered * (s->colour.part[c] - pixel[c]);
        }
}

static void background_draw(float *canvas, struct dice *d, struct colour from, struct colour to)
{
    float angle = throw_between(d, 0.0f, 6.2831853f);
    float across = cosf(angle) / (1.5f * SIDE), down = sinf(angle) / (1.5f * SIDE);
    for (int h = 0; h < SIDE; h++)
        for (int w = 0; w < SIDE; w++) {
            float share = 0.5f + across * ((float)w - SIDE / 2) + down * ((float)h - SIDE / 2);
            for (int c = 0; c < CHANNELS; c++)
                canvas[(h * SIDE + w) * CHANNELS + c] =
                    from.part[c] + share * (to.part[c] - from.part[c]);
        }
}

static float dash(float x, float y)
{
    return box(x, y, 1.0f, 0.22f);
}

static struct stamp throw_stamp(struct dice *d, figure_function *figure, float smallest,
                                float largest, float turn)
{
    struct stamp s = { .figure = figure, .size = throw_between(d, smallest, largest) };
    float margin = fminf(s.size * 0.9f, SIDE / 2 - 1.0f), angle = throw_between(d, -turn, turn);
    s.x = throw_between(d, margin, SIDE - margin);
    s.y = throw_between(d, margin, SIDE - margin);
    s.cosine = cosf(angle);
    s.sine = sinf(angle);
    return s;
}

/* Small things, in colours between the ground's and any other. */
static void clutter_draw(float *canvas, struct dice *d, struct colour ground, int pieces)
{
    for (int i = 0; i < pieces; i++) {
        figure_function *figure = throw_between(d, 0.0f, 1.0f) < 0.5f ? dash : circle;
        struct stamp s = throw_stamp(d, figure, 0.8f, 2.8f, 3.1415927f);
        s.colour = colour_mix(ground, throw_colour(d, 0.0f, 255.0f), 0.7f);
        stamp_draw(canvas, &s);
    }
}

/* Canvas to bytes with noise: four bytes' sum is close enough to a bell, of deviation 148. */
static void noise_keep(const float *canvas, uint64_t key, float deviation, uint8_t *pixels)
{
    for (int i = 0; i < PIXELS * CHANNELS; i += 2) {
        uint64_t bits = rt_random_bits(key, (uint64_t)i);
        for (int half = 0; half < 2; half++, bits >>= 32) {
            int sum = (int)(bits & 255) + (int)(bits >> 8 & 255) + (int)(bits >> 16 & 255)
                      + (int)(bits >> 24 & 255);
            float value = canvas[i + half] + (float)(sum - 510) * deviation * (1.0f / 148.0f);
            pixels[i + half] = (uint8_t)fminf(fmaxf(value + 0.5f, 0.0f), 255.0f);
        }
    }
}

static void picture_draw(uint64_t key, int class, uint8_t *pixels)
{
    struct dice d = { .key = rt_random_subkey(key, 0) };
    float canvas[PIXELS * CHANNELS];
    struct colour ground = throw_colour(&d, 0.0f, 170.0f);
    struct colour other = colour_mix(ground, throw_colour(&d, 0.0f, 170.0f), 0.4f);
    background_draw(canvas, &d, ground, other);
    clutter_draw(canvas, &d, ground, 4);
    struct stamp s = throw_stamp(&d, figures[class], 8.0f, 13.0f, 0.6f);
    do      /* the figure is always the brighter one, by little or by much */
        s.colour = throw_colour(&d, 50.0f, 255.0f);
    while (brightness(s.colour) < fmaxf(brightness(ground), brightness(other)) + 50.0f);
    stamp_draw(canvas, &s);
    clutter_draw(canvas, &d, ground, 2);
    noise_keep(canvas, rt_random_subkey(key, 1), throw_between(&d, 2.0f, 16.0f), pixels);
}

struct drawing {
    const struct dataset *set;
    struct split *split;
    uint64_t key;
    int classes;
    atomic_bool failed;
};

static void picture_draw_at(void *arg, int64_t i)
{
    struct drawing *d = arg;
    struct split *s = d->split;
    uint8_t pixels[PIXELS * CHANNELS];
    if (d->failed)
        return;
    s->labels[i] = (uint16_t)(i % d->classes);
    picture_draw(rt_random_subkey(d->key, (uint64_t)i), s->labels[i], pixels);
    if (rt_split_put(d->set, s, i, pixels))
        d->failed = true;
}

static int split_draw(const struct dataset *set, struct split *s, uint64_t key)
{
    struct drawing d = { .set = set, .split = s, .key = key, .classes = set->target.size };
    rt_each(set->use.threads, s->count, picture_draw_at, &d);
    return d.failed ? -1 : 0;
}

/* ---- pictures that are drawn when they are needed -------------------------------------------- */

struct drawn_pictures {
    struct sample_store store;  /* first: the dataset's pointer is this one's */
    uint64_t train_key, val_key;
    int64_t train_count;        /* behind these numbers are the validation set's */
    int classes;
};

static int drawn_read(const struct sample_store *store, int64_t number, void *to)
{
    const struct drawn_pictures *p = (const struct drawn_pictures *)store;
    const bool trains = number < p->train_count;
    const int64_t i = trains ? number : number - p->train_count;
    picture_draw(rt_random_subkey(trains ? p->train_key : p->val_key, (uint64_t)i), (int)(i % p->classes), to);
    return 0;
}

static void drawn_close(struct sample_store *store)
{
    free(store);
}

static int split_store(const struct dataset *d, struct split *s, int64_t first, int64_t count)
{
    if (rt_split_allocate_stored(d, s, count))
        return -1;
    for (int64_t i = 0; i < count; i++) {
        s->numbers[i] = (uint32_t)(first + i);
        s->labels[i] = (uint16_t)(i % d->target.size);
    }
    return 0;
}

static int pictures_store(struct dataset *d, int64_t train, int64_t val, uint64_t train_key, uint64_t val_key)
{
    struct drawn_pictures *p = calloc(1, sizeof *p);
    if (!p) {
        rt_error("no memory to draw pictures");
        return -1;
    }
    *p = (struct drawn_pictures){ .store = { .read = drawn_read, .close = drawn_close, .dear = true },
                                  .train_key = train_key, .val_key = val_key, .train_count = train,
                                  .classes = d->target.size };
    d->store = &p->store;
    return split_store(d, &d->train, 0, train) || split_store(d, &d->val, train, val) ? -1 : 0;
}

/* ---------------------------------------------------------------------------------------------- */

static int names_keep(struct dataset *d)
{
    d->class_names = calloc((size_t)d->target.size, sizeof *d->class_names);
    for (int i = 0; d->class_names && i < d->target.size; i++) {
        size_t length = strlen(figure_names[i]) + 1;
        d->class_names[i] = malloc(length);
        if (!d->class_names[i])
            return -1;
        memcpy(d->class_names[i], figure_names[i], length);
    }
    return d->class_names ? 0 : -1;
}

static int read_all(struct dataset *d, const char *dir, const struct cnn_model *m)
{
    (void)dir;
    const struct cnn_clause *clause = &m->data.source;
    double classes = rt_setting_number(clause, "classes");
    double train = rt_setting_number(clause, "train"),
           val = rt_setting_number(clause, "val");
    if (!(classes >= 2 && classes <= FIGURES)) {
        rt_error("shapes: classes is %g, expected 2 to %d", classes, FIGURES);
        return -1;
    }
    if (!(train >= 1 && train <= COUNT_MAX && val >= 1 && val <= COUNT_MAX)) {
        rt_error("shapes: train is %g and val %g, expected 1 to %d", train, val, COUNT_MAX);
        return -1;
    }
    d->channels = CHANNELS;
    d->height = d->width = SIDE;
    d->target.size = (int)classes;
    const int64_t trained = d->use.test_only ? 0 : (int64_t)train;
    const uint64_t seed = (uint64_t)rt_setting_number(clause, "seed");
    const uint64_t train_key = rt_random_key(seed, RANDOM_SHAPES, 0), val_key = rt_random_key(seed, RANDOM_SHAPES, 1);
    if (names_keep(d))
        return -1;
    if (d->use.by_share)
        return pictures_store(d, trained, (int64_t)val, train_key, val_key);
    return rt_split_begin(d, &d->train, trained) || rt_split_begin(d, &d->val, (int64_t)val)
                   || split_draw(d, &d->train, train_key) || split_draw(d, &d->val, val_key) ? -1 : 0;
}

const struct data_source rt_data_shapes = { .name = "shapes", .read = read_all };
