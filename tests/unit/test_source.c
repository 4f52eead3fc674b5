/* test_source.c - places in files: lines, columns of UTF-8, spans, and files that are none. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/source.h"

static void expect_place(const char *text, size_t offset, int line, int column)
{
    struct arena a = {0};
    struct source *s = source_from_text(&a, "test.cnn", text, strlen(text));
    struct place p = source_place(s, offset);

    cr_assert_eq(p.line, line, "offset %zu of '%s': line %d, expected %d", offset, text, p.line,
                 line);
    cr_assert_eq(p.column, column, "offset %zu of '%s': column %d, expected %d", offset, text,
                 p.column, column);
    arena_free(&a);
}

Test(source, lines_and_columns)
{
    expect_place("ab\ncd\n", 0, 1, 1);
    expect_place("ab\ncd\n", 1, 1, 2);
    expect_place("ab\ncd\n", 2, 1, 3);
    expect_place("ab\ncd\n", 3, 2, 1);
    expect_place("ab\ncd\n", 5, 2, 3);
    expect_place("ab\ncd\n", 6, 3, 1);
    expect_place("\n\n\nx", 3, 4, 1);
    expect_place("ab\r\ncd", 4, 2, 1);
}

Test(source, an_offset_past_the_end_is_the_end)
{
    expect_place("", 0, 1, 1);
    expect_place("", 100, 1, 1);
    expect_place("ab\nc", 100, 2, 2);
}

Test(source, columns_count_characters)
{
    expect_place("\xC3\xA4\xC3\xB6x", 2, 1, 2);         /* two letters of two bytes */
    expect_place("\xC3\xA4\xC3\xB6x", 4, 1, 3);
    expect_place("\xE2\x82\xACx", 3, 1, 2);             /* one of three */
    expect_place("\xF0\x9F\x90\xB1x", 4, 1, 2);         /* one of four */
    expect_place("\xEF\xBB\xBFx", 3, 1, 1);             /* a byte order mark counts for nothing */
    expect_place("\tx", 1, 1, 2);
}

Test(source, spans_join)
{
    struct arena a = {0};
    struct source *s = source_from_text(&a, "a", "0123456789", 10),
                  *t = source_from_text(&a, "b", "x", 1);
    struct span left = {s, 2, 4}, right = {s, 6, 8}, other = {t, 0, 1}, none = {NULL, 0, 0};
    struct span both = span_join(left, right), back = span_join(right, left);

    cr_assert(both.file == s && both.begin == 2 && both.end == 8);
    cr_assert(back.file == s && back.begin == 2 && back.end == 8);
    cr_assert_eq(span_join(left, other).file, s);
    cr_assert_eq(span_join(none, other).file, t);
    cr_assert_eq(span_join(left, none).end, 4);
    arena_free(&a);
}

Test(source, reads_a_file_whole)
{
    enum { SIZE = 100000 };
    struct arena a = {0};
    char path[] = "/tmp/cnnc-source-XXXXXX", *text = malloc(SIZE);
    int fd = mkstemp(path);

    cr_assert(fd >= 0 && text);
    for (int i = 0; i < SIZE; i++)
        text[i] = (char)(i % 256);
    cr_assert_eq(write(fd, text, SIZE), SIZE);
    close(fd);
    struct source *s = source_read(&a, path);
    unlink(path);
    cr_assert_not_null(s);
    cr_assert_str_eq(s->path, path);
    cr_assert_eq(s->size, SIZE);
    cr_assert_eq(memcmp(s->text, text, SIZE), 0);
    cr_assert_eq(s->text[SIZE], 0);
    free(text);
    arena_free(&a);
}

Test(source, what_cannot_be_read)
{
    struct arena a = {0};

    cr_assert_null(source_read(&a, "/nonexistent/model.cnn"));
    cr_assert_eq(errno, ENOENT);
    cr_assert_null(source_read(&a, "/"));
    cr_assert_eq(errno, EISDIR);
    cr_assert_null(source_read(&a, "/dev/zero"), "a file without an end is refused");
    cr_assert_eq(errno, EFBIG);
    arena_free(&a);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Not inlined: GCC 12 takes what open_memstream() stores for the address of `text` itself. */
__attribute__((noinline)) static char *printed(const struct diag *d)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    diag_print(d, out);
    fclose(out);
    return text;
}

Test(diag, prints_line_caret_note_and_hint)
{
    struct arena a = {0};
    struct source *s = source_from_text(&a, "m.cnn", "one\n\tt\xC3\xA4o three\n", 15);
    struct diag *d = diag_new(&a);

    diag_error(d, DIAG_unknown_name, (struct span){s, 5, 9}, "what is %s", "this");
    diag_note(d, (struct span){s, 0, 3}, "see here");
    diag_hint(d, "try %d", 2);
    char *text = printed(d);
    cr_assert_str_eq(text, "m.cnn:2:2: error: what is this [unknown_name]\n"
                           "    2 | \tt\xC3\xA4o three\n"
                           "      | \t^~~\n"
                           "m.cnn:1:1: note: see here\n"
                           "    1 | one\n"
                           "      | ^~~\n"
                           "hint: try 2\n");
    free(text);
    arena_free(&a);
}

Test(diag, sorts_drops_doubles_and_stops_at_twenty)
{
    struct arena a = {0};
    struct source *s = source_from_text(&a, "m.cnn", "abcdefghijklmnopqrstuvwxyz", 26);
    struct diag *d = diag_new(&a);

    for (size_t i = 26; i-- > 0;)
        diag_error(d, DIAG_unknown_name, (struct span){s, i, i + 1}, "letter");
    diag_error(d, DIAG_unknown_name, (struct span){s, 3, 4}, "letter");
    diag_note(d, (struct span){s, 0, 1}, "a note of the double one");
    cr_assert_eq(diag_errors(d), 26);
    char *text = printed(d);
    cr_assert_eq(strncmp(text, "m.cnn:1:1: error", 16), 0);
    cr_assert_not_null(strstr(text, "m.cnn:1:20: error"));
    cr_assert_null(strstr(text, "m.cnn:1:21: error"));
    cr_assert_null(strstr(text, "double one"));
    cr_assert_not_null(strstr(text, "too many errors: 6 more"));
    free(text);
    arena_free(&a);
}

Test(diag, a_warning_is_no_error)
{
    struct arena a = {0};
    struct diag *d = diag_new(&a);

    diag_warning(d, DIAG_unused_local, (struct span){0}, "hm");
    cr_assert_eq(diag_errors(d), 0);
    char *text = printed(d);
    cr_assert_str_eq(text, "cnnc: warning: hm [unused_local]\n");
    free(text);
    arena_free(&a);
}

Test(diag, nothing_harmful_reaches_the_terminal)
{
    struct arena a = {0};
    struct source *s = source_from_text(&a, "m.cnn", "a\033[31m\xFF\xC0\x80 b", 11);
    struct diag *d = diag_new(&a);

    diag_error(d, DIAG_stray_character, (struct span){s, 1, 2}, "no");
    char *text = printed(d);
    cr_assert_null(strchr(text, '\033'));
    cr_assert_null(strchr(text, '\xFF'));
    cr_assert_null(strchr(text, '\xC0'));
    cr_assert_not_null(strstr(text, "    1 | a?[31m??? b\n"));
    free(text);
    arena_free(&a);
}

Test(diag, a_long_line_is_shown_around_the_fault)
{
    enum { LENGTH = 100000 };
    struct arena a = {0};
    char *line = malloc(LENGTH + 1);
    struct diag *d = diag_new(&a);

    memset(line, 'x', LENGTH);
    line[LENGTH] = '\0';
    line[50000] = '$';
    struct source *s = source_from_text(&a, "m.cnn", line, LENGTH);
    diag_error(d, DIAG_stray_character, (struct span){s, 50000, 50001}, "no");
    char *text = printed(d);
    cr_assert_lt(strlen(text), 500);
    cr_assert_not_null(strchr(text, '$'));
    ptrdiff_t above = strchr(text, '$') - strstr(text, "    1 | ");
    ptrdiff_t below = strchr(text, '^') - strstr(text, "      | ");
    cr_assert_eq(above, below, "the caret stands under the fault");
    free(text);
    free(line);
    arena_free(&a);
}

Test(diag, nearest_names)
{
    static const char *const names[] = {"conv2d", "maxpool2d", "dense", "dropout", "relu"};

    cr_assert_str_eq(diag_nearest("cnv2d", names, 5), "conv2d");
    cr_assert_str_eq(diag_nearest("Conv2D", names, 5), "conv2d");
    cr_assert_str_eq(diag_nearest("maxpool", names, 5), "maxpool2d");
    cr_assert_str_eq(diag_nearest("rleu", names, 5), "relu");
    cr_assert_null(diag_nearest("quux", names, 5));
    cr_assert_null(diag_nearest("", names, 5));
    cr_assert_null(diag_nearest("x", names, 5));
}
