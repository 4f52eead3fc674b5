/* test_arena.c - memory of the compiler: alignment, zeroes, growth, big pieces. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

Test(arena, pieces_are_aligned_zeroed_and_apart)
{
    enum { PIECES = 2000 };
    struct arena a = {0};
    unsigned char *pieces[PIECES];

    for (int i = 0; i < PIECES; i++) {
        size_t size = (size_t)(i % 97) + 1;
        pieces[i] = arena_alloc(&a, size);
        cr_assert_eq((uintptr_t)pieces[i] % 16, 0);
        for (size_t j = 0; j < size; j++)
            cr_assert_eq(pieces[i][j], 0);
        memset(pieces[i], i % 251 + 1, size);
    }
    for (int i = 0; i < PIECES; i++)
        for (size_t j = 0; j < (size_t)(i % 97) + 1; j++)
            cr_assert_eq(pieces[i][j], i % 251 + 1, "piece %d was overwritten", i);
    arena_free(&a);
    cr_assert_null(a.blocks);
    cr_assert_eq(a.used, 0);
}

Test(arena, a_big_piece_leaves_the_block_in_use)
{
    struct arena a = {0};
    char *first = arena_alloc(&a, 16), *big = arena_alloc(&a, 8 << 20),
         *second = arena_alloc(&a, 16);

    memset(big, 1, 8 << 20);
    cr_assert_eq(second - first, 16);
    cr_assert_eq(*first, 0);
    arena_free(&a);
}

Test(arena, used_counts_bytes)
{
    struct arena a = {0};

    arena_alloc(&a, 1);
    arena_alloc(&a, 17);
    cr_assert_eq(a.used, 16 + 32);
    arena_free(&a);
}

Test(arena, of_nothing)
{
    struct arena a = {0};

    cr_assert_not_null(arena_alloc(&a, 0));
    cr_assert_not_null(arena_array(&a, 0, 8));
    cr_assert_str_eq(arena_string(&a, NULL, 0), "");
    arena_free(&a);
    arena_free(&a);
}

Test(arena, strings_and_formats)
{
    struct arena a = {0};
    char *s = arena_string(&a, "conv2d_1", 6), *t = arena_printf(&a, "%s_%d", s, 42);

    cr_assert_str_eq(s, "conv2d");
    cr_assert_str_eq(t, "conv2d_42");
    cr_assert_eq(strlen(arena_printf(&a, "%5000d", 1)), 5000);
    arena_free(&a);
}

Test(arena, a_list_keeps_its_items_while_it_grows)
{
    struct arena a = {0};
    int *list = NULL, count = 0;
    size_t capacity = 0;

    for (int i = 0; i < 10000; i++)
        LIST_ADD(&a, list, count, capacity, i * 3);
    cr_assert_eq(count, 10000);
    cr_assert_geq(capacity, 10000);
    for (int i = 0; i < 10000; i++)
        cr_assert_eq(list[i], i * 3);
    arena_free(&a);
}

Test(arena, too_large_ends_the_compiler, .exit_code = 1)
{
    struct arena a = {0};

    arena_array(&a, SIZE_MAX / 4, 8);
}
