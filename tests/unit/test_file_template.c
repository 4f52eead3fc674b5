/* test_file_template.c - names with fields: what Python's format() writes, what is refused, which names can meet. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file_template.h"

static bool value_of(void *user, const struct template_piece *field, double *value, bool *whole)
{
    const double *number = user;
    *whole = rt_template_names(field, "epoch");
    *value = *number;
    return *whole || rt_template_names(field, "loss");
}

static void expands(const char *text, double number, const char *expected)
{
    char *name = rt_template_expand(text, value_of, &number);
    cr_assert_not_null(name, "%s", text);
    cr_assert_str_eq(name, expected);
    free(name);
}

/* What Python 3.11's "...".format(epoch=7, loss=...) gives. */
Test(file_template, expands_as_python_does)
{
    expands("w{epoch}.st", 7, "w7.st");
    expands("w{epoch:02d}-{epoch:4}-{epoch:+d}-{epoch:.1f}.st", 7, "w07-   7-+7-7.0.st");
    expands("{epoch:02d}", 123, "123");
    expands("{loss:.4f}", 0.69314718, "0.6931");
    expands("{loss:08.3f}|{loss: .2e}|{loss:G}", -12.5, "-012.500|-1.25e+01|-12.5");
    expands("{loss:.1%}", 0.625, "62.5%");
    expands("{loss}", 0.1, "0.1");
    expands("{loss}", 2.0, "2.0");
    expands("{loss}", 100000.0, "100000.0");
    expands("{loss}", 1e16, "1e+16");
    expands("{loss}", 0.00001, "1e-05");
    expands("{loss}", 0.0001, "0.0001");
    expands("{loss}", 1.0 / 3.0, "0.3333333333333333");
    expands("{loss:.2f}", NAN, "nan");
    expands("{loss:.2f}", -INFINITY, "-inf");
    expands("{{epoch}}-{{{epoch}}}", 7, "{epoch}-{7}");
    expands("plain", 0, "plain");
}

Test(file_template, what_cannot_be_read_is_not_expanded)
{
    const char *const texts[] = { "{", "}", "a{b", "{}", "{:d}", "{epoch", "{epoch:x}", "{epoch:<3d}", "{epoch:3.}",
                                  "{epoch:99999999999d}", "{epoch:.99999999999f}", "{epoch!r}", "{epoch:{loss}}" };
    double number = 1;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert_null(rt_template_expand(texts[i], value_of, &number), "%s", texts[i]);
}

Test(file_template, names_that_can_meet_are_found)
{
    static const struct {
        const char *a, *b;
        enum template_meeting meeting;
    } pairs[] = {
        { "a.st", "a.st", TEMPLATES_SAME },
        { "a.st", "A.ST", TEMPLATES_SAME },
        { "a.st", "b.st", TEMPLATES_APART },
        { "a.st", "a.st2", TEMPLATES_APART },
        { "w{epoch}.st", "w12.st", TEMPLATES_SAME },
        { "w{epoch}.st", "w1x.st", TEMPLATES_APART },
        { "w{epoch}.st", "w0.5.st", TEMPLATES_APART },
        { "w{loss}.st", "w0.5.st", TEMPLATES_SAME },
        { "w{loss}.st", "wnan.st", TEMPLATES_SAME },
        { "w{loss}.st", "w{epoch:02d}.st", TEMPLATES_SAME },
        { "v{loss}.st", "w{loss}.st", TEMPLATES_APART },
        { "{epoch}{loss}.st", "1-0.5.st", TEMPLATES_SAME },
        { "log/w.st", "log", TEMPLATES_INSIDE },
        { "log", "log/w.st", TEMPLATES_AROUND },
        { "sub/{epoch}/w.st", "sub/3", TEMPLATES_INSIDE },
        { "sub/{epoch}/w.st", "sub/x", TEMPLATES_APART },
        { "sub{epoch}w.st", "sub/w.st", TEMPLATES_APART },
        { "{{a}}", "{{A}}", TEMPLATES_SAME },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        cr_assert_eq(rt_templates_meet(pairs[i].a, pairs[i].b), pairs[i].meeting, "%s and %s", pairs[i].a, pairs[i].b);
    cr_assert(rt_template_gives("w{epoch}.st", "w03.st"));
    cr_assert(rt_template_gives("{{w}}.st", "{w}.st"));
    cr_assert_not(rt_template_gives("w{epoch}.st", "w{epoch}.st"));
    cr_assert_not(rt_template_gives("w{epoch}.st", "w3.st/x"));
}
