/* progress.c - the log in Keras's format. */
#include "train/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 30, LINE_MAX_LENGTH = 512, REDRAW_NANOSECONDS = 100000000 };

struct line {
    char text[LINE_MAX_LENGTH];
    size_t length;
};

static void line_add(struct line *l, const char *format, ...) RT_PRINTF(2, 3);

static void line_add(struct line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof l->text - l->length;
    int n = vsnprintf(l->text + l->length, room, format, args);
    va_end(args);
    if (n > 0)
        l->length += (size_t)n < room ? (size_t)n : room - 1;
}

/* " - loss: 1.6831 - acc: 0.3767"; small numbers keep their digits. */
static void line_add_tally(struct line *l, const struct tally *t, const char *prefix)
{
    for (int i = 0; i < rt_tally_count(t); i++) {
        double value = rt_tally_value(t, i);
        line_add(l, fabs(value) > 1e-3 || isnan(value) ? " - %s%s: %.4f" : " - %s%s: %.4e", prefix,
                 rt_tally_name(t, i), value);
    }
}

void rt_progress_open(struct progress *p, int verbosity, FILE *log, int64_t samples)
{
    bool terminal = isatty(STDOUT_FILENO);
    *p = (struct progress){ .log = log, .terminal = terminal, .samples = samples };
    p->verbosity = verbosity >= 0 ? (enum verbosity)verbosity
                   : terminal     ? VERBOSE_BAR
                                  : VERBOSE_EPOCHS;
}

static void say(struct progress *p, bool shown, const char *format, va_list args) RT_PRINTF(3, 0);

static void say(struct progress *p, bool shown, const char *format, va_list args)
{
    if (p->log) {
        va_list again;
        va_copy(again, args);
        rt_vprint(p->log, format, again);
        va_end(again);
        fflush(p->log);
    }
    if (shown) {
        rt_vprint(stdout, format, args);
        fflush(stdout);
    }
}

void rt_progress_note(struct progress *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(p, false, format, args);
    va_end(args);
}

void rt_progress_say(struct progress *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(p, p->verbosity != VERBOSE_SILENT && p->verbosity != VERBOSE_MUTE, format, args);
    va_end(args);
}

void rt_progress_result(struct progress *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(p, p->verbosity != VERBOSE_MUTE, format, args);
    va_end(args);
}

void rt_progress_epoch_begin(struct progress *p, int epoch, double epochs, int64_t samples, int64_t before)
{
    p->samples = samples;
    p->epoch_start = p->trained = cnn_clock();
    p->drawn = 0;
    p->steps = 0;
    p->before = p->seen = before;
    p->inside = true;
    rt_progress_say(p, "Epoch %d/%.10g\n", epoch + 1, epochs);
}

static int terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* "12800/50000 [======>.......................]" */
static void line_add_bar(struct line *l, const struct progress *p, int64_t done)
{
    int filled = p->samples > 0 ? (int)(BAR * done / p->samples) : BAR;
    int width = snprintf(NULL, 0, "%" PRId64, p->samples);
    line_add(l, "%*" PRId64 "/%" PRId64 " [", width, done, p->samples);
    for (int i = 0; i < BAR; i++)
        line_add(l, "%c", i < filled ? i == filled - 1 && filled < BAR ? '>' : '=' : '.');
    line_add(l, "]");
}

static void line_add_eta(struct line *l, double seconds)
{
    int whole = (int)fmin(seconds, 1e8);
    if (whole >= 3600)
        line_add(l, " - ETA: %d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
    else if (whole >= 60)
        line_add(l, " - ETA: %d:%02d", whole / 60, whole % 60);
    else
        line_add(l, " - ETA: %ds", whole);
}

/* Whether the bar's line may be drawn again: it is there, and what it shows is not too young. */
static bool bar_due(struct progress *p, uint64_t now)
{
    if (p->verbosity != VERBOSE_BAR || !p->terminal || now - p->drawn < REDRAW_NANOSECONDS)
        return false;
    p->drawn = now;
    return true;
}

/* Over what stands there; a line that wraps could not be drawn over. */
static void bar_draw(struct line *l)
{
    int columns = terminal_columns();
    if (l->length >= (size_t)columns)
        l->text[columns - 1] = '\0';
    fputs("\r", stdout);
    rt_print_name(stdout, l->text);
    fputs("\033[K", stdout);
    fflush(stdout);
}

static double ratio(double a, double b)
{
    return b > 0.0 ? a / b : 0.0;
}

void rt_progress_step(struct progress *p, const struct tally *train)
{
    uint64_t now = cnn_clock();
    p->steps++;
    p->seen = train->samples;
    p->trained = now;
    if (!bar_due(p, now))
        return;
    struct line l = { .length = 0 };
    line_add_bar(&l, p, train->samples);
    double seconds = (double)(now - p->epoch_start) * 1e-9;
    line_add_eta(&l, ratio(seconds * (double)(p->samples - p->seen), (double)(p->seen - p->before)));
    line_add_tally(&l, train, "");
    bar_draw(&l);
}

void rt_progress_measure(struct progress *p, const char *what, int64_t done, int64_t count)
{
    struct line l = { .length = 0 };
    bool over = done >= count && !p->inside && p->drawn && p->verbosity == VERBOSE_BAR && p->terminal;
    if (!over && !bar_due(p, cnn_clock()))
        return;
    if (p->inside)
        line_add_bar(&l, p, p->seen);
    if (!over)
        line_add(&l, "%s%s %" PRId64 "/%" PRId64, p->inside ? " - " : "", what, done, count);
    bar_draw(&l);
}

void rt_progress_epoch_end(struct progress *p, const struct tally *train, const struct tally *val)
{
    double trained = (double)(p->trained - p->epoch_start) * 1e-9;
    struct line l = { .length = 0 };
    p->seconds = (double)(cnn_clock() - p->epoch_start) * 1e-9;
    p->images_per_second = ratio((double)(p->seen - p->before), trained);
    p->inside = false;
    line_add_tally(&l, train, "");
    line_add_tally(&l, val, "val_");
    if (p->log) {
        rt_print(p->log, " - %.0fs%s\n", p->seconds, l.text);
        fflush(p->log);
    }
    if (p->verbosity == VERBOSE_EPOCHS)
        rt_print(stdout, " - %.0fs%s\n", p->seconds, l.text);
    if (p->verbosity == VERBOSE_BAR) {
        struct line bar = { .length = 0 };
        line_add_bar(&bar, p, train->samples);
        fputs(p->terminal ? "\r" : "", stdout);
        rt_print(stdout, "%s - %.0fs %.0fms/step%s", bar.text, p->seconds, ratio(trained * 1e3, p->steps), l.text);
        fputs(p->terminal ? "\033[K\n" : "\n", stdout);
    }
    fflush(stdout);
}
